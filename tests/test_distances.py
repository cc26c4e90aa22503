"""Distances of rows that are close, and of rows that are the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml import losses
from jml.distances import checksums, squared_distances
from tests.parity import assert_close


def nearly_one_point(dim, spread, number=40):
    """Unit rows, two of each of four classes' ten."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=dim) / dim**0.5 + spread * rng.normal(size=(number, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("dim", "spread"), [(128, 1e-4), (512, 1e-4)])
def test_close_rows_are_not_taken_for_identical(dim, spread):
    """Unit rows often have the same float32 norm: a collapsed network's have."""
    x, labels = nearly_one_point(dim, spread), np.arange(40) % 10
    exact = ((x[:, None].astype(np.float64) - x[None]) ** 2).sum(2)
    found = np.asarray(squared_distances(jnp.asarray(x)))
    others = ~np.eye(len(x), dtype=bool)
    assert np.all(found[others] > 0)
    np.testing.assert_allclose(found, exact, atol=2 * dim**0.5 * 1.2e-7)

    def gradient(x):
        return jax.grad(losses.contrastive_loss)(x, labels, convention="paper")

    single = gradient(x)
    with jax.enable_x64(True):
        assert_close(single, gradient(x.astype(np.float64)), 0.05, "collapsed rows")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identical_rows_are_at_zero(x64, dtype):
    rng = np.random.default_rng(0)
    for dim in (1, 3, 128, 512):
        x = 100 * rng.normal(size=(20, dim)).astype(dtype)
        x[:, 0] = 0
        twice = np.concatenate([x, x])
        twice[20:, 0] = -0.0
        found = np.asarray(squared_distances(jnp.asarray(twice), jnp.asarray(x)))
        assert not np.any(found[np.arange(40), np.arange(40) % 20])
        apart = np.arange(40)[:, None] % 20 != np.arange(20)[None, :]
        assert np.all(found[apart & (dim > 1)] > 0)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_checksums_tell_rows_apart(dtype):
    """Also rows of few bits that differ in the last place of one entry or two."""
    x = jnp.ones((257, 16), dtype)
    x = x.at[1 + jnp.arange(256), jnp.arange(256) // 16].mul(1.01)
    x = x.at[1 + jnp.arange(256), jnp.arange(256) % 16].mul(1.01)
    rows = np.unique(np.asarray(x, np.float32), axis=0)
    assert len(np.unique(checksums(x))) == len(rows) > 130
