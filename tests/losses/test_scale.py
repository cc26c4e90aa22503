"""Memory, blocks and the ways that are taken for many positives only."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jml import losses
from jml.losses._triplet import _all
from jml.losses._triplet._formula import Options, no_triplets
from jml.losses._triplet._loop import find_positives, loop_over_positives
from jml.losses._triplet._sorted import sorted_gradients
from jml.pairwise import make_pairs, make_rows
from tests.compilation import QUICK, options_of_all, quickly
from tests.losses.cases import FORMULAS, LOSSES, SPECS, hyperparameters
from tests.losses.oracles import PAPER
from tests.parity import assert_close

SIZE = 24
ORIGINAL = Options(*5 * [False])


@jax.jit
def both_gradients(x, labels, valid, margin):
    """Pair gradients from the loop over positives, and from sorted rows."""
    pairs = make_pairs(x, labels, valid)
    rows = make_rows(pairs.anchors, pairs.references)
    positive, margin = rows.positive_or_self, jnp.asarray(margin, x.dtype)
    add = partial(_all.add_all, rows, margin, ORIGINAL)
    start = no_triplets(rows, jnp.zeros(SIZE))
    positives = find_positives(pairs)(rows)
    looped = loop_over_positives(rows, positive, positives, add, start)
    by_sorting = sorted_gradients(rows.squared, positive, rows.negative, margin)
    return looped[:2], by_sorting


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 6),
    lattice=st.booleans(),
    absent=st.booleans(),
    margin=st.sampled_from([0.0, 1.0, 4.0, -1.0]),
)
def test_sorting_and_looping_over_triplets_agree(
    seed, classes, lattice, absent, margin
):
    """To the last bit, ties at the hinge included: both only count."""
    rng = np.random.default_rng(seed)
    shape = SIZE, 2
    x = rng.integers(-2, 3, shape) if lattice else rng.normal(size=shape)
    labels = rng.integers(0, classes, SIZE)
    valid = rng.random(SIZE) < 0.7 if absent else np.ones(SIZE, bool)
    loop, by_sorting = both_gradients(x.astype(np.float32), labels, valid, margin)
    for one, other in zip(loop, by_sorting, strict=True):
        np.testing.assert_array_equal(one, other)


def useless(rows, margin, options, mined, one):
    return jax.tree.map(lambda a: a * jnp.nan, mined)


@pytest.mark.parametrize(("cost", "taken"), [(0.3, "sorted"), (100, "loop")])
def test_triplets_are_sorted_or_looped_over_by_cost(x64, monkeypatch, cost, taken):
    """The other way would give NaN. No other test has these shapes in its cache."""
    monkeypatch.setattr(_all, "SORT_COST_ON_CPU", cost)
    if taken == "sorted":
        monkeypatch.setattr(_all, "add_all", useless)
    else:
        nan = partial(jax.tree.map, lambda a: a * jnp.nan)
        monkeypatch.setattr(
            _all, "sorted_gradients", lambda *a: nan(sorted_gradients(*a))
        )
    rng = np.random.default_rng(0)
    size = 19 if taken == "sorted" else 21
    x, labels = rng.normal(size=(size, 3)), rng.integers(0, 3, size)
    loss = partial(losses.triplet_loss, mining="all", convention="paper", margin=1.0)
    expected = PAPER["triplet_all"](x, labels, 1.0)
    with quickly():
        found = loss(x, labels)
    assert_close(found, expected, 1e-12, label=f"triplet_all, {taken}")


def step_of(name, size, dim, **options):
    """The step of one loss, for four items a class, to be compiled."""
    x = jax.ShapeDtypeStruct((size, dim), jnp.float32)
    labels = jax.ShapeDtypeStruct((size,), jnp.int32)
    proxies = jax.ShapeDtypeStruct((size // 4, dim), jnp.float32)
    arguments = (x, labels) if SPECS[name].proxies is None else (x, labels, proxies)
    loss = partial(LOSSES[name], **hyperparameters(name, 0.5), **options)
    return jax.jit(jax.value_and_grad(loss)).lower(*arguments)


def assert_holds(limit, step, held=lambda memory: memory.temp_size_in_bytes):
    """Quick machine code holds as much as a user's, or a few percent more or less.

    What is not far from the limit is made as users have it.
    """
    with quickly():
        found = held(step.compile().memory_analysis())
    if found > limit * 0.8:
        found = held(step.compile(QUICK).memory_analysis())  # only LLVM is hurried
    assert found <= limit


every = pytest.mark.parametrize("name", FORMULAS)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in LOSSES if n in PAPER or SPECS[n].proxies])
def test_a_loss_holds_no_more_than_six_matrices(name):
    """Others, with references and a memory: tests/losses/test_devices.py."""
    assert_holds(6 * 4 * 1024**2, step_of(name, 1024, 16, block_size=1024))


@pytest.mark.slow
@every
def test_losses_of_65536_items_hold_half_a_gigabyte(name):
    def held(memory):
        given = memory.argument_size_in_bytes + memory.output_size_in_bytes
        return given + memory.temp_size_in_bytes

    assert_holds(2**29, step_of(name, 65536, 128), held)


@pytest.mark.slow
def test_float32_sums_over_many_triplets_are_exact():
    rng = np.random.default_rng(0)
    size = 8192
    labels = np.arange(size) // 4
    x = rng.normal(size=(size // 4, 8))[labels] + rng.normal(size=(size, 8))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    loss = jax.jit(partial(losses.triplet_loss, mining="all", margin=0.5))
    single = loss(x, labels)
    with jax.enable_x64(True), options_of_all():
        topic, exact = "all, B = 8,192", loss(x.astype(np.float64), labels)
        assert_close(single, exact, 1e-5, topic, label="triplet_all")
