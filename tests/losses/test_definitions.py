"""Every pair loss of the table against its definition, in each kind of use."""

import jax
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.losses.cases import PAIR_LOSSES, TOWER_LOSSES, VIEW_LOSSES
from tests.losses.defined import POINTS, USES, Case, check, family, numbers_of
from tests.losses.definitions import DEFINITIONS, VIEWS

pytestmark = pytest.mark.usefixtures("quick_compilation")

every_use = pytest.mark.parametrize(
    ("name", "kind"),
    [
        pytest.param(name, kind, marks=() if kind == "labels" else pytest.mark.slow)
        for name, kind in USES
    ],
)
# Here losses stand at kinks, where any slope between those of the sides is right,
KINKED = ("duplicates", "ties", "rows of zeros")
# but these, which have none, or none here.
SMOOTH = {
    "angular",
    "circle",
    "clip",
    "cosent",
    "multi_similarity",
    "nca",
    "ntxent",
    "pnp",
    "recall_at_k",
    "siglip",
    "smooth_ap",
    "supcon",
}


def test_every_loss_has_a_definition():
    compared = {family(name)[0] for name in PAIR_LOSSES} | set(TOWER_LOSSES)
    assert compared == set(DEFINITIONS)
    assert set(VIEWS) == set(VIEW_LOSSES)


@every_use
@settings(max_examples=4, phases=[Phase.generate])
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 8),
    factor=st.sampled_from([0.9, 0.6, 1.7]),
)
def test_losses_equal_their_definitions(name, kind, seed, classes, factor):
    numbers = numbers_of(name, factor)
    with jax.enable_x64(True):
        # By rounding, miners find different pairs among those that are equally far.
        for points in POINTS if kind != "mined" else set(POINTS) - set(KINKED):
            case = Case(kind, points, seed, classes)
            label = f"{points}, seed {seed}, {classes} classes, factor {factor}"
            exact = points not in KINKED or family(name)[0] in SMOOTH
            # By rounding, distances of 1e15 differ by more than an exponent may.
            exact &= (name, points) != ("lifted", "huge")
            check(name, case, numbers, 1e-10, label=label, kinked=not exact)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, kind in USES if kind == "labels"])
def test_losses_in_float32_are_close_to_their_definitions(name):
    for seed in range(10):
        case = Case("labels", "normal", seed, 1 + seed % 5, np.float32)
        numbers = {k: np.float32(v) for k, v in numbers_of(name, 1.0).items()}
        check(name, case, numbers, 1e-4, label=f"float32, seed {seed}")


@pytest.mark.slow
@pytest.mark.parametrize("mining", ["hardest", "semi", "all", "batch_hard"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("memory", {"smooth": True}), ("references", {"smooth": True, "swap": True})],
)
def test_smooth_and_swapped_triplets_equal_their_definition(mining, kind, options):
    name = f"triplet_{mining}"
    with jax.enable_x64(True):
        for seed in range(4):
            case = Case(kind, "normal", seed, 2 + seed)
            label = f"{options}, seed {seed}"
            check(name, case, numbers_of(name, 2.0), 1e-10, label=label, **options)
