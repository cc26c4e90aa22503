import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml.report._tsne import ROWS, _forces, _probabilities, tsne

PERPLEXITY = 5


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(0).normal(size=(40, 6))


def test_probabilities_of_pairs_have_the_perplexity(points):
    # With all others as neighbours, the definition of 2008.
    n = 14
    p = np.zeros((n, n))
    for i in range(n):
        squares = np.square(points[:n] - points[i]).sum(axis=1)
        low, high = 1e-3, 1e3
        for _ in range(100):
            scale = (low * high) ** 0.5
            weights = np.exp(-scale * squares)
            weights[i] = 0
            row = weights / weights.sum()
            entropy = -sum(q * np.log(q) for q in row if q)
            low, high = (scale, high) if entropy > np.log(4.5) else (low, scale)
        p[i] = row
    found = _probabilities(points[:n], 4.5)
    np.testing.assert_allclose(found, (p + p.T) / (2 * n), atol=1e-9)


def test_the_forces_of_tsne_are_the_gradient_of_its_divergence(points):
    n, p = len(points), _probabilities(points, PERPLEXITY)
    assert p.sum() == pytest.approx(1)

    def divergence(y):  # less the sum of p log p, which is constant
        t = 1 / (1 + jnp.square(y[:, None] - y[None]).sum(axis=2))
        return jnp.log(t.sum() - n) - jnp.sum(p * jnp.log(t))

    y = np.float32(points[:, :2])
    expected = jax.grad(divergence)(y)
    padding = ROWS - n
    padded = np.pad(y, [(0, padding), (0, 0)]), np.pad(p, [(0, padding)] * 2)
    valid = np.arange(ROWS) < n
    pull, push, sums = _forces(*(jnp.float32(array) for array in (*padded, valid)))
    z = np.sum((sums - 1) * valid)
    found = 4 * (pull - push / z)[:n]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_map_of_copies_is_finite():
    x = np.repeat(np.eye(2, 4), 25, axis=0)
    y = tsne(x, x[:, :2] - 0.5, perplexity=PERPLEXITY)
    assert np.isfinite(y).all() and (y[0] != y[-1]).any()
    same = tsne(np.ones((50, 4)), np.zeros((50, 2)), perplexity=PERPLEXITY)
    assert np.isfinite(same).all()
