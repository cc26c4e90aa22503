"""What only some losses have, against their definitions."""

import numpy as np
import pytest

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
