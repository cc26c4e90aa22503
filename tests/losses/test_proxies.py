"""Proxies: what they are drawn from, and labels without one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml import losses

LABELS = np.array([0, 1, 0, 2, 1, 0, 3, 2, 1, 0, 2, 4])
X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
PROXIES = jax.random.normal(jax.random.key(7), (5, 4))


def test_an_item_without_a_proxy_adds_nothing():
    labels = np.where(LABELS == 4, 9, LABELS)
    value, grad = jax.value_and_grad(losses.proxy_nca_loss)(X, labels, PROXIES)
    rest = labels != 9
    expected = losses.proxy_nca_loss(X[rest], labels[rest], PROXIES) * rest.mean()
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert not np.any(grad[~rest])
    assert losses.proxy_nca_loss(X, LABELS * 0, PROXIES[:1]) == 0


def test_init_proxies():
    with pytest.raises(ValueError, match="init_proxies: `num_classes` must be a posit"):
        losses.init_proxies(jax.random.key(0), num_classes=0, dim=3)
    for key in (0, None, jnp.zeros(2), jax.random.split(jax.random.key(0))):
        with pytest.raises(ValueError, match="init_proxies: `key` must be a key from"):
            losses.init_proxies(key, num_classes=3, dim=3)
    old = losses.init_proxies(jax.random.PRNGKey(0), num_classes=300, dim=100)
    proxies = losses.init_proxies(jax.random.key(0), num_classes=300, dim=100)
    np.testing.assert_array_equal(proxies, old)
    bound = np.sqrt(6 / 400)
    assert np.abs(proxies).max() <= bound
    np.testing.assert_allclose(np.std(proxies), bound / np.sqrt(3), rtol=0.02)
