"""What only some losses have, against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml import losses, miners
from jml.distances import normalize
from jml.pairwise import make_pairs, make_rows
from tests.losses.cases import PAIR_LOSSES
from tests.losses.defined import REFERENCES, SIZE, Case, check, numbers_of, parameters

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")

SEEDS = range(4)
WORDS = [
    (name, options)
    for options in (
        {"similarity": "dot"},
        {"normalized": False},
        {"include_anchor": True},
    )
    for name in PAIR_LOSSES
    if set(options) <= set(parameters(name)) and not PAIR_LOSSES[name].keywords
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), WORDS)
def test_embeddings_as_they_are_have_the_loss_of_the_definition(name, options):
    for seed in SEEDS:
        case = Case("labels", "normal", seed, 2 + seed)
        check(name, case, numbers_of(name, 0.9), 1e-10, label=f"{seed}", **options)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "references", "mined"])
def test_the_margin_loss_learns_a_boundary_for_each_class(kind):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        case = Case(kind, "normal", seed, 5)
        numbers = {"margin": 0.3, "nu": 0.2, "beta": rng.uniform(0.8, 1.4, 5)}
        check("margin", case, numbers, 1e-10, label=f"seed {seed}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["labels", "references", "related"])
@pytest.mark.parametrize("name", ["supcon", "supcon_one", "supcon_negatives"])
def test_a_guide_leaves_out_what_it_finds_more_alike_than_positives(name, kind):
    """And passes no gradient."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        case = Case(kind, "normal", seed, 5)
        numbers = numbers_of(name, 0.9) | {"guide": rng.normal(size=(SIZE, 3))}
        if kind == "references":
            numbers["reference_guide"] = rng.normal(size=(REFERENCES, 3))
        check(name, case, numbers, 1e-10, label=f"seed {seed}")


def test_drawn_negatives_count_in_the_margin_loss_as_often_as_drawn():
    """As many draws as an anchor has positives, each of which is in one triplet."""
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(SIZE, 4)), np.arange(SIZE) // 3
    miner = miners.distance_weighted(jax.random.key(0))
    unit = normalize(x)
    pairs = make_pairs(jnp.array(unit), jnp.array(labels), jnp.ones(SIZE, bool))
    rows = miner(make_rows(pairs.anchors, pairs.references))
    distance = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    near = np.where(rows.positive, np.maximum(distance - 1.0, 0), 0)
    far = np.where(rows.negative, np.maximum(1.4 - distance, 0), 0)
    times = np.asarray(rows.times)
    active = (times * ((near > 0) | (far > 0))).sum()
    expected = (times * (near + far)).sum() / active
    value = losses.margin_loss(x, labels, miner=miner)
    assert value == pytest.approx(expected, rel=1e-12)
    negatives = np.where(rows.negative, times, 0).sum(1)
    np.testing.assert_array_equal(negatives, rows.positive.sum(1))
