"""Derivatives and symmetries of every loss, in float64.

One program of each loss is compiled, with all of its derivatives.
"""

import jax
import numpy as np
import pytest

from tests.losses.contract import (
    ALL_CASES,
    CASES,
    KEEP,
    LABELS,
    SPEC_OF,
    X,
    all_at,
    assert_same,
    evaluate,
    evaluate_exactly,
    every,
    ignore_missing_proxies,
    quick_or_slow,
    slow,
)
from tests.parity import assert_close

pytestmark = [pytest.mark.usefixtures("quick_compilation"), ignore_missing_proxies]

# Losses of unit vectors depend on directions from the origin, others on differences.
MOVABLE = [case for case in ALL_CASES if not SPEC_OF[case].unit_length]
SCALABLE = [
    case
    for case in ALL_CASES
    if SPEC_OF[case].unit_length and not SPEC_OF[case].lengths
]
# Of the items of a class these take the first ones.
OF_THE_FIRST = ("n_pairs",)
# Their weights pass no gradient, so that their gradient is no slope of the value.
DETACHED = ("circle", "adaface")
# Numbers that must not be the same as the others.
APART = {"magface": {"max_length": 2.9}}


def random_direction(name, seed):
    """Of embeddings and hyperparameters."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=X.shape), {n: rng.normal() for n in all_at(name, 1)}


def flat(leaves):
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


@slow
@every
def test_derivatives_of_losses_equal_differences(name):
    """First and second ones, along a direction of embeddings and hyperparameters.

    Forward, reverse, and forward over reverse; away from kinks.
    """
    numbers, step = all_at(name, 1.3) | APART.get(name, {}), 3e-6
    direction = random_direction(name, 1)
    found = evaluate_exactly(name, X, direction=direction, **numbers)

    def at(step):
        moved = jax.tree.map(lambda a, d: a + step * d, (X, numbers), direction)
        return jax.tree.leaves(evaluate_exactly(name, moved[0], **moved[1])[:2])

    slope, *curvature = (
        (ahead - behind) / (2 * step)
        for ahead, behind in zip(at(step), at(-step), strict=True)
    )
    products = sum(jax.tree.leaves(jax.tree.map(np.vdot, found.gradient, direction)))
    if name in DETACHED:
        assert abs(products / slope - 1) > 1e-4
        slope = products
    assert_close(found.slope, slope, 1e-7, label="forward")
    assert_close(products, slope, 1e-7, label="reverse")
    if name == "adaface":  # nor have its margins a slope in second derivatives
        return
    along = jax.tree.leaves(found.curvature)
    assert_close(flat(along), flat(curvature), 1e-6, label="forward over reverse")


@slow
@every
def test_the_order_of_items_changes_no_loss(name):
    order = np.random.default_rng(0).permutation(12)
    if name in OF_THE_FIRST:
        order = np.argsort(-LABELS, kind="stable")
    found = evaluate_exactly(name, X[order], LABELS[order])
    expected = evaluate_exactly(name, X)
    assert_same(found.value, expected.value, 1e-12)
    assert_same(found.gradient[0], expected.gradient[0][order], 1e-12)


@quick_or_slow(MOVABLE)
def test_moving_all_embeddings_changes_no_loss(name):
    x = X.astype(np.float64)
    found, moved = evaluate_exactly(name, x), evaluate_exactly(name, x + 3)
    assert_same(moved[:2], found[:2], rtol=1e-12)


@quick_or_slow(SCALABLE)
def test_scaling_all_embeddings_changes_no_loss_of_directions(name):
    found, scaled = evaluate_exactly(name, X), evaluate_exactly(name, 8.0 * X)
    assert_same(scaled.value, found.value, 1e-12)
    assert_same(8 * scaled.gradient[0], found.gradient[0], 1e-12)


# Of the original convention blocks are in no other test.
IN_BLOCKS = [(case, 5) for case in CASES if case.endswith("-original")]
IN_BLOCKS += [("triplet_semi-paper", 5), ("contrastive-paper", 1), ("lifted-paper", 1)]


@slow
@pytest.mark.parametrize(("name", "block_size"), IN_BLOCKS)
def test_the_block_size_changes_no_loss(x64, name, block_size):
    """Each loss is in blocks beside its definition in test_definitions.py."""
    x, numbers = X.astype(np.float64), all_at(name, 1.0)
    found = evaluate(name, x, block_size=block_size, where=KEEP, **numbers)
    whole = evaluate_exactly(name, x, where=KEEP, **numbers)
    assert_same(found[:2], whole[:2], 1e-13)
