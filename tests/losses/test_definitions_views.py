"""Losses of two views against their definitions."""

from functools import partial

import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.losses.cases import SPECS, VIEW_LOSSES
from tests.losses.definitions import VIEWS
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation")

SIZE, DIM = 12, 4
POINTS = {
    "normal": lambda rng: rng.normal(size=(2, SIZE, DIM)),
    "alike": lambda rng: np.tile(rng.normal(size=(SIZE, DIM)), (2, 1, 1)),
    "ties": lambda rng: rng.integers(-1, 2, (2, SIZE, DIM)).astype(float),
    "constant columns": lambda rng: rng.normal(size=(2, SIZE, DIM)) * [1, 0, 1, 1],
    "far from 0": lambda rng: 9 + 0.1 * rng.normal(size=(2, SIZE, DIM)),
}


@partial(jax.jit, static_argnames="name")
def library(name, x, y, numbers, where):
    def loss(x, y, numbers):
        return VIEW_LOSSES[name](x, y, where=where, **numbers)

    return jax.value_and_grad(loss, argnums=(0, 1, 2))(x, y, numbers)


def define(name, x, y, numbers, where):
    x, y = (torch.tensor(v.astype(float), requires_grad=True) for v in (x, y))
    numbers = {
        k: torch.tensor(float(v), dtype=torch.float64, requires_grad=True)
        for k, v in numbers.items()
    }
    value = VIEWS[name](x[where], y[where], **numbers)
    by = (x, y, *numbers.values())
    grads = torch.autograd.grad(value, by, allow_unused=True)
    grads = [
        np.zeros(b.shape) if g is None else g.numpy()
        for b, g in zip(by, grads, strict=True)
    ]
    return value.item(), grads[:2], dict(zip(numbers, grads[2:], strict=True))


def check(name, x, y, where, factor, limit, label):
    numbers = {h.name: factor * h.default for h in SPECS[name].hyperparameters}
    value, (by_x, by_y, by_numbers) = library(name, x, y, numbers, where)
    expected, (for_x, for_y), for_numbers = define(name, x, y, numbers, where)
    for what, found, wanted in (
        ("value", value, expected),
        ("gradient by x", by_x, for_x),
        ("gradient by y", by_y, for_y),
        *((f"gradient by {k}", by_numbers[k], for_numbers[k]) for k in numbers),
    ):
        if np.max(np.abs(wanted)) < 1e-12:
            assert np.max(np.abs(found)) < limit, f"{what} of {name}, {label}"
        else:
            assert_close(found, wanted, limit, label=f"{what} of {name}, {label}")


@pytest.mark.parametrize("name", VIEWS)
@settings(max_examples=20)
@given(
    points=st.sampled_from(list(POINTS)),
    seed=st.integers(0, 2**32 - 1),
    kept=st.sampled_from([1.0, 0.7, 0.1, 0.0]),
    factor=st.sampled_from([1.0, 0.4]),
)
def test_losses_of_views_equal_their_definitions(name, points, seed, kept, factor):
    rng = np.random.default_rng(seed)
    x, y = POINTS[points](rng)
    where = rng.random(SIZE) < kept
    with jax.enable_x64(True):
        label = f"{points}, seed {seed}, kept {kept}, factor {factor}"
        check(name, x, y, where, factor, 1e-10, label)


@pytest.mark.parametrize("name", VIEWS)
def test_losses_of_views_in_float32_are_close_to_their_definitions(name):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, SIZE, DIM)).astype(np.float32)
        check(name, x, y, rng.random(SIZE) < 0.8, 1.0, 1e-4, f"seed {seed}")
