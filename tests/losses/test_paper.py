"""The losses' textbook formulas against loops written from the papers."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.losses import oracles
from tests.losses.cases import (
    PAIR_LOSSES,
    conventions,
    hyperparameters,
    textbook,
    value_and_grad,
)
from tests.losses.oracles import ORIGINAL, PAPER
from tests.losses.references import oracle
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")

SHAPES = [(2, 3), (5, 2), (12, 4)]
# The others have definitions only: tests/losses/test_definitions.py.
LOOPS = [name for name in PAIR_LOSSES if name in PAPER]


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOPS)
@settings(max_examples=40)
@given(
    shape=st.sampled_from(SHAPES),
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 6),
    lattice=st.booleans(),
    number=st.sampled_from([0.2, 1.0, 3.0]),
)
def test_losses_equal_the_formulas_of_their_papers(
    name, shape, seed, classes, lattice, number
):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, shape).astype(float) if lattice else rng.normal(size=shape)
    labels = rng.integers(0, classes, len(x))
    expected = oracle(name)(x, labels, **hyperparameters(name, number))
    with jax.enable_x64(True):
        value, grad = value_and_grad(name, x, labels, number, **textbook(name))
    if expected == 0:
        assert abs(float(value)) <= 1e-15
    else:
        label = f"{name}, {shape}, {number}"
        assert_close(value, expected, 1e-10, label=label)
    assert np.all(np.isfinite(grad))


def test_every_loss_has_an_oracle():
    assert all(callable(oracle(name)) for name in PAIR_LOSSES)
    both = {name for name in PAIR_LOSSES if len(conventions(name)) > 1}
    assert all(callable(oracle(name, "original")) for name in both)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOPS)
def test_gradients_equal_differences_of_the_papers_formulas(x64, name):
    """Central differences of the loops, away from kinks."""
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(12, 4)), rng.integers(0, 4, 12)
    _, grad = value_and_grad(name, x, labels, 1.0, **textbook(name))
    numbers = hyperparameters(name, 1.0)
    h = 1e-6
    numeric = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[index] = h
        values = [oracle(name)(x + sign * step, labels, **numbers) for sign in (1, -1)]
        numeric[index] = (values[0] - values[1]) / (2 * h)
    assert_close(grad, numeric, 1e-6, label=f"gradient of {name}")


BY_HAND = {
    # (1 + 0 + (3 - 2)^2) / 2 over 3 pairs
    "contrastive": 1 / 3,
    # (0, 1): 1 - 9 + 3 < 0; (1, 0): 1 - 4 + 3 = 0
    "triplet_hardest": 0.0,
    "triplet_semi": 0.0,
    "triplet_all": 0.0,
    # log(e^0 + e^1) + 1, squared, halved
    "lifted": (np.log(1 + np.e) + 1) ** 2 / 2,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_losses_equal_values_worked_out_by_hand(name):
    """Points 0, 1 and 3 on a line, the first two of one class; margins of 3."""
    x, labels = np.array([[0.0], [1.0], [3.0]], np.float32), np.array([0, 0, 1])
    value, _ = value_and_grad(name, x, labels, 3.0, convention="paper")
    np.testing.assert_allclose(value, BY_HAND[name], rtol=1e-6)


@pytest.mark.parametrize("name", ["contrastive", "lifted"])
@pytest.mark.parametrize("convention", [PAPER, ORIGINAL])
def test_the_floor_of_distances_costs_no_more_than_help_says(
    x64, monkeypatch, name, convention
):
    """Beside loops without it, for items of both kinds of pairs that coincide."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(12, 4))[rng.integers(0, 6, 12)], np.arange(12) % 3
    words = "paper" if convention is PAPER else "original"
    value, _ = value_and_grad(name, x, labels, 1.0, convention=words)
    monkeypatch.setattr(
        oracles, "euclidean", lambda x, i, j: oracles.squared(x, i, j) ** 0.5
    )
    exact = convention[name](x, labels, 1.0)
    bound = 1e-8 if name == "contrastive" else 1e-8 * np.sqrt(2 * exact)
    assert abs(value - exact) <= bound * (1 + 1e-6) + 1e-15
    floored = (name, words) != ("contrastive", "original")
    assert (abs(value - exact) > 1e-10) == floored
