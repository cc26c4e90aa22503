"""A loss of one's own: what its formula is given, and what is made of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml.pairwise import (
    Batch,
    count_true,
    make_pairs,
    make_rows,
    masked_sum,
    pair_loss,
)
from jml.pairwise._pair_loss import _pair_loss
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")

LABELS = np.array([0, 1, 0, 2, 1, 0, 3])
X = np.random.default_rng(0).normal(size=(7, 3))


def terms(rows, *, scale):
    """Different from both ends of a pair: each row is divided by its length."""
    total = masked_sum(jnp.exp(-scale * rows.squared), rows.positive | rows.negative)
    return total**2, count_true(rows.negative, total.dtype)


def own_loss(x, scale, **options):
    batch = Batch(x, LABELS, **options)
    return pair_loss(terms, batch, {"scale": scale}, name="own_loss")


def test_positives_leave_out_the_anchor():
    pairs = make_pairs(jnp.asarray(X), jnp.asarray(LABELS), jnp.arange(7) != 2)
    last = jax.tree.map(lambda a: a[3:], pairs.anchors)
    rows = make_rows(last, pairs.references)
    valid = np.arange(7) != 2
    same = (LABELS[3:, None] == LABELS) & valid
    itself = np.arange(3, 7)[:, None] == np.arange(7)
    np.testing.assert_array_equal(rows.positive, same & ~itself)
    np.testing.assert_array_equal(rows.positive_or_self, same)
    np.testing.assert_array_equal(rows.negative, (LABELS[3:, None] != LABELS) & valid)


@pytest.mark.parametrize("block_size", [None, 3])
def test_the_gradient_is_that_of_plain_jax(x64, block_size):
    others = ~np.eye(7, dtype=bool)

    def plain(x, scale):
        squared = jnp.sum((x[:, None] - x[None]) ** 2, axis=2)
        closeness = jnp.where(others, jnp.exp(-scale * squared), 0)
        number = np.sum(LABELS[:, None] != LABELS)
        return jnp.sum(jnp.sum(closeness, axis=1) ** 2) / number

    expected, by_plain = jax.value_and_grad(plain, (0, 1))(X, 0.7)
    value, by_own = jax.value_and_grad(own_loss, (0, 1))(X, 0.7, block_size=block_size)
    assert_close(value, expected, 1e-14)
    assert_close(by_own[0], by_plain[0], 1e-13)
    assert_close(by_own[1], by_plain[1], 1e-13)


def test_it_compiles_once():
    own_loss(X, 1.0)
    before = _pair_loss._cache_size()
    for scale in (2.0, 3, np.float32(4)):
        own_loss(X + scale, scale)
    assert _pair_loss._cache_size() == before


def test_errors_name_the_loss_and_the_number():
    with pytest.raises(ValueError, match="own_loss: `scale` must be a number, got"):
        own_loss(X, "a")
