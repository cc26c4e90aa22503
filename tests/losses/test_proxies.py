"""Proxies: what they are drawn from, and labels without one."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml import losses
from tests.losses.contract import LABELS, PROXIES, X

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.mark.parametrize("label", [-1, 9])
@pytest.mark.filterwarnings("ignore:proxy_nca_loss. `labels` of 5 and above")
def test_an_item_without_a_proxy_adds_nothing(label):
    labels = np.where(LABELS == 4, label, LABELS)
    value, grad = jax.value_and_grad(losses.proxy_nca_loss)(X, labels, PROXIES)
    rest = labels != label
    expected = losses.proxy_nca_loss(X[rest], labels[rest], PROXIES) * rest.mean()
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert not np.any(grad[~rest])
    assert losses.proxy_nca_loss(X, LABELS * 0, PROXIES[:1]) == 0


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_rows_of_zeros_pass_no_gradient_to_proxies(dtype):
    """Neither into the weights behind them nor into a proxy of zeros."""
    proxies = PROXIES.astype(dtype).at[1].set(0)

    def loss(weights, proxies):
        return losses.proxy_nca_loss(X.astype(dtype) @ weights, LABELS, proxies)

    gradients = jax.jit(jax.grad(loss, (0, 1)))(jnp.zeros((4, 4), dtype), proxies)
    assert not np.any(gradients[0]) and gradients[0].dtype == dtype
    assert not np.any(gradients[1][1]) and np.all(np.isfinite(gradients[1]))


BEYOND = r"proxy_nca_loss: `labels` of 5 and above .* pass labels - 1 if yours are 1"


@pytest.mark.parametrize("kind", [np.uint8, jnp.asarray])
def test_labels_beyond_the_proxies_are_warned_of(kind):
    """Where they are known: also in a gradient, and with constants under jit."""
    labels = kind(LABELS + 1)
    for loss in (losses.proxy_nca_loss, jax.grad(losses.proxy_nca_loss)):
        with pytest.warns(UserWarning, match=BEYOND) as found:
            loss(X, labels, PROXIES)
        assert len(found) == 1
    with pytest.warns(UserWarning, match=BEYOND):
        jax.jit(lambda x: losses.proxy_nca_loss(x, labels, PROXIES))(X)
    with pytest.warns(UserWarning, match=BEYOND):
        losses.proxy_nca_loss(X, labels, PROXIES, where=labels > 4)


def test_labels_that_may_be_right_are_not_warned_of():
    """Traced, absent or -1; any warning is an error here."""
    beyond, absent = LABELS + 1, LABELS < 4
    losses.proxy_nca_loss(X, LABELS, PROXIES)
    losses.proxy_nca_loss(X, np.where(absent, LABELS, -1), PROXIES)
    losses.proxy_nca_loss(X, beyond, PROXIES, where=absent)
    losses.proxy_nca_loss(X[:0], beyond[:0], PROXIES)
    jax.jit(losses.proxy_nca_loss)(X, beyond, PROXIES)
    masked = jax.jit(lambda w: losses.proxy_nca_loss(X, beyond, PROXIES, where=w))
    masked(absent)
    jax.vmap(losses.proxy_nca_loss, (0, 0, None))(X[None], beyond[None], PROXIES)


def test_labels_beyond_the_proxies_are_warned_of_once():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for batch in range(3):
            losses.proxy_nca_loss(X, LABELS + 1 + batch, PROXIES)
    assert len(found) == 1
    assert found[0].filename == __file__


def test_init_proxies_checks_its_arguments_and_draws_within_bounds():
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
