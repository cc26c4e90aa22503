"""Distances of rows that are close, and of rows that are the same."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn import functional

from jml import losses
from jml._gram_distances import checksums
from jml.distances import euclidean_distances, normalize, squared_distances
from tests.parity import assert_close


def nearly_one_point(dim, spread, number=40):
    """Unit rows, two of each of four classes' ten."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=dim) / dim**0.5 + spread * rng.normal(size=(number, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "spread"), [(128, 1e-4), (512, 1e-4)])
def test_close_rows_are_not_taken_for_identical(dim, spread):
    """Unit rows often have the same float32 norm: a collapsed network's have."""
    x, labels = nearly_one_point(dim, spread), np.arange(40, dtype=np.int32) % 10
    exact = ((x[:, None].astype(np.float64) - x[None]) ** 2).sum(2)
    found = np.asarray(jax.jit(squared_distances)(x))
    others = ~np.eye(len(x), dtype=bool)
    assert np.all(found[others] > 0)
    np.testing.assert_allclose(found, exact, atol=2 * dim**0.5 * 1.2e-7)

    @jax.jit
    def gradient(x):
        return jax.grad(losses.contrastive_loss)(x, labels, convention="paper")

    single = gradient(x)
    with jax.enable_x64(True):
        assert_close(single, gradient(x.astype(np.float64)), 0.05, "collapsed rows")


@pytest.mark.parametrize("dim", [1, 3, 128, 512])
@pytest.mark.parametrize(
    "dtype", [np.float32, pytest.param(np.float64, marks=pytest.mark.slow)]
)
def test_identical_rows_are_at_distance_zero(x64, dtype, dim):
    x = 100 * np.random.default_rng(0).normal(size=(20, dim)).astype(dtype)
    x[:, 0] = 0
    twice = np.concatenate([x, x])
    twice[20:, 0] = -0.0
    # As one program, and at one size operation by operation.
    measure = squared_distances if dim == 3 else jax.jit(squared_distances)
    found = np.asarray(measure(jnp.asarray(twice), jnp.asarray(x)))
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


quick = pytest.mark.usefixtures("quick_compilation")
HALVES = [jnp.float16, jnp.bfloat16]
DTYPES = [*HALVES, jnp.float32, jnp.float64]


def wide_of(dtype):
    return dtype if dtype == jnp.float64 else jnp.float32


def rows(dtype, number, seed=0):
    """Random rows, and one that all dtypes can hold."""
    x = 100 * np.random.default_rng(seed).normal(size=(number, 5))
    x[-1] = [1, 2, 3, 4, 5]
    return jnp.asarray(x, dtype)


@quick
@pytest.mark.parametrize(
    ("dtype", "other"),
    [HALVES, HALVES[::-1], (HALVES[0], jnp.float32), DTYPES[1::2], DTYPES[2:]],
)
def test_distances_of_two_dtypes_are_in_the_wider_and_float32_at_least(
    x64, dtype, other
):
    """Before anything is rounded; gradients are in the dtype of their rows."""
    x, y = rows(dtype, 7), rows(other, 4, seed=1)
    wide = wide_of(other)
    gaps = np.asarray(x, float)[:, None] - np.asarray(y, float)[None]
    exact, weights = (gaps**2).sum(2), np.arange(28).reshape(7, 4) % 5 - 1.0

    def weigh(x, y):
        found = squared_distances(x, y)
        return jnp.sum(weights * found), (found, squared_distances(y, x).T)

    gradients, both = jax.jit(jax.grad(weigh, (0, 1), has_aux=True))(x, y)
    limit = 1e-6 if wide == jnp.float32 else 1e-14
    for found, label in zip(both, ("x to y", "y to x"), strict=True):
        assert found.dtype == wide
        assert_close(found, exact, limit, label=label)
        assert found[6, 3] == 0
    weighted = 2 * weights[:, :, None] * gaps
    expected = weighted.sum(1), -weighted.sum(0)
    for found, right, given in zip(gradients, expected, (x, y), strict=True):
        assert found.dtype == given.dtype
        limit, label = jnp.finfo(given.dtype).eps + 1e-12, f"gradient, {given.dtype}"
        assert_close(found, right, limit, label=label)


@quick
@pytest.mark.parametrize("dtype", HALVES)
def test_distances_of_close_rows_in_half_precision(dtype):
    """The last bits of a row are its distance; float16's largest do not overflow."""
    largest = jnp.finfo(dtype).max if dtype == jnp.float16 else 1e18
    x = jnp.asarray([[1, 1], [1 + 2**-7, 1], [largest, -largest]], dtype)
    wide = np.asarray(x, float)
    exact = ((wide[:, None] - wide[None]) ** 2).sum(2)
    np.testing.assert_allclose(jax.jit(squared_distances)(x), exact, rtol=1e-6)

    def total(squared):
        found = euclidean_distances(squared)
        return jnp.sum(found), found

    squared = jnp.asarray([[0, 4]], dtype)
    gradient, found = jax.jit(jax.grad(total, has_aux=True))(squared)
    np.testing.assert_array_equal(found, np.float32([[1e-8, 2]]))
    assert found.dtype == jnp.float32 and gradient.dtype == dtype
    assert gradient.tolist() == [[0, 0.25]]


@quick
def test_gradients_of_distances_beyond_float16_are_its_largest():
    """Backward, mapped, forward and twice; infinity still shows."""
    x = jnp.array([[60000, 1], [-60000, 1]], jnp.float16)

    def loss(x, scale):
        return scale * jnp.sum(squared_distances(x))

    gradient = jax.jit(jax.vmap(jax.grad(loss), (None, 0)))(x, jnp.array([1, jnp.inf]))
    assert gradient[0].tolist() == [[65504, 0], [-65504, 0]]
    assert not np.isfinite(gradient[1, 0, 0])
    slope = jax.jit(lambda x: jax.jvp(partial(loss, scale=1.0), (x,), (x,))[1])(x)
    np.testing.assert_allclose(slope, 4 * 120000.0**2, rtol=1e-6)
    twice = jax.jit(jax.hessian(partial(loss, scale=0.25)))(x)
    assert twice[:, 0, :, 0].tolist() == [[1, -1], [-1, 1]]


@quick
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_distances_beyond_the_largest_float_are_infinite(dtype):
    x = jnp.asarray([[3e38, 0], [3e38, 0], [-3e38, 1], [1e19, 1e19], [0, 1]], dtype)

    def total(x):
        found = squared_distances(x)
        return jnp.sum(found), found

    gradient, found = jax.jit(jax.grad(total, has_aux=True))(x)
    assert np.all(np.isfinite(gradient))
    identical = np.eye(5, dtype=bool)
    identical[0, 1] = identical[1, 0] = True
    assert np.all((found == 0) == identical)
    assert np.all(np.isinf(found[:3, 3:])) and np.all(np.isinf(found[0, 2]))


NORMS = [0, 1e-30, 1e-13, 1e-12, 1.01e-12, 1e-8, 6e-8, 1e-6, 1e-4, 1, 6e4, 1e18, 1e30]


def directions():
    """Rows of these norms, one with a single entry; none is smaller than the others."""
    y = np.random.default_rng(3).normal(size=(len(NORMS), 4))
    y = np.sign(y) * (1 + np.abs(y))
    y[NORMS.index(1e-12)] = [1, 0, 0, 0]
    return np.array(NORMS)[:, None] * y / np.linalg.norm(y, axis=1, keepdims=True)


@quick
@pytest.mark.parametrize("dtype", DTYPES)
def test_normalize_is_pytorchs_above_the_floor(x64, dtype):
    """Beside PyTorch in float64; below, its value, and gradient 0."""
    limits = jnp.finfo(dtype)
    x = jnp.asarray(np.clip(directions(), limits.min, limits.max), dtype)
    g = jnp.asarray(np.random.default_rng(4).normal(size=x.shape), dtype)

    def product(x):
        found = normalize(x)
        return jnp.sum(found.astype(float) * g), found

    gradient, found = jax.jit(jax.grad(product, has_aux=True))(x)
    assert found.dtype == gradient.dtype == dtype

    given = torch.tensor(np.asarray(x, float), requires_grad=True)
    values = functional.normalize(given)
    torch.sum(values * torch.tensor(np.asarray(g, float))).backward()
    eps = 4 * max(float(limits.eps), float(jnp.finfo(wide_of(dtype)).eps))
    assert_close(found, values.detach(), eps, label=f"rows in {jnp.dtype(dtype)}")
    long = np.linalg.norm(np.asarray(x, float), axis=1) > 1e-12
    assert 3 <= np.sum(long) < len(NORMS)
    assert not np.any(gradient[~long])
    gradient = np.asarray(gradient, float)
    right = given.grad.numpy().clip(float(limits.min), float(limits.max))
    error = np.abs(gradient - right).max(1) - float(limits.smallest_subnormal)
    assert np.all(error[long] <= 4 * eps * np.abs(right).max(1)[long])


@pytest.mark.parametrize("function", [squared_distances, normalize])
def test_complex_rows_are_refused(function):
    with pytest.raises(ValueError, match="must be real numbers, got complex128"):
        function(np.array([[0j], [3j]]))
