"""Miners against their definitions: which pairs they keep, and what they draw."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jml import miners
from jml.distances import normalize
from jml.pairwise import make_pairs, make_rows
from tests.losses.definitions import MINERS, distance_weights, relate

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")

SIZE, DIM = 12, 4
WORDS = ("easy", "hard", "semihard", "all")
OPTIONS = {
    "batch_hard": {},
    **{
        f"easy_hard {one} {other}": {"positives": one, "negatives": other}
        for one in WORDS
        for other in WORDS
        if "semihard" not in (one, other) or {one, other} & {"easy", "hard"}
    },
    "multi_similarity": {"epsilon": 0.3},
    "pair_margin": {"pos_margin": 0.9, "neg_margin": 1.1},
    **{
        f"triplet_margin {kind}": {"margin": 0.3, "kind": kind}
        for kind in ("all", "hard", "semihard", "easy")
    },
}


@jax.jit
def rows_of(x, labels, where):
    x = jnp.where(where[:, None], normalize(x), 0)
    pairs = make_pairs(x, labels, where)
    return make_rows(pairs.anchors, pairs.references, "product")


@pytest.mark.parametrize("case", OPTIONS)
@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(1, 8))
def test_miners_keep_the_pairs_of_their_definitions(case, seed, classes):
    name, rng = case.partition(" ")[0], np.random.default_rng(seed)
    x, labels = rng.normal(size=(SIZE, DIM)), rng.integers(0, classes, SIZE)
    where = rng.random(SIZE) < 0.85
    mined = getattr(miners, name)(**OPTIONS[case])(rows_of(x, labels, where))
    x = torch.tensor(x)
    kept = MINERS[name](x, x, relate(labels, where=where), **OPTIONS[case])
    np.testing.assert_array_equal(mined.positive, kept.positive)
    np.testing.assert_array_equal(mined.negative, kept.negative)
    if mined.times is not None:
        np.testing.assert_array_equal(
            mined.times * mined.positive, kept.triplets.sum(2)
        )
        np.testing.assert_array_equal(
            mined.times * mined.negative, kept.triplets.sum(1)
        )


def test_negatives_are_drawn_with_the_probabilities_of_the_definition():
    rng = np.random.default_rng(0)
    x, labels, number = rng.normal(size=(SIZE, DIM)), np.arange(SIZE) // 3, 2000
    options = {"cutoff": 0.5, "nonzero_loss_cutoff": 1.4}
    rows = rows_of(x, labels, np.ones(SIZE, bool))

    def draw(key):
        return miners.distance_weighted(key, **options)(rows).times

    times = jax.vmap(draw)(jax.random.split(jax.random.key(0), number))
    drawn = np.where(rows.negative, times, 0).sum(0)
    x, relations = torch.tensor(x), relate(labels)
    shares = distance_weights(x, x, relations, **options)
    draws = relations.positive.sum(1, keepdims=True) * number
    error = np.sqrt(shares * (1 - shares) / draws)
    assert np.all(np.abs(drawn / draws - shares) <= 5 * error)
    np.testing.assert_array_equal(drawn > 0, shares > 0)
