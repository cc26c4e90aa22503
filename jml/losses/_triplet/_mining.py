"""Triplets of every positive pair with semi-hard or with all negatives."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml._numerics import first_minimum
from jml.distances import FLOOR
from jml.pairwise import (
    ClassRuns,
    Hyperparameters,
    Pairs,
    Plan,
    Rows,
    Sums,
    Terms,
    count_true,
    find_class_runs,
    on_cpu,
    pvary_like,
    run_if,
    sum_rows,
)

from ._sorted import sorted_gradients

# Sorting a row takes as long as this many passes over it for each doubling of its
# length. XLA's sort is slow on CPUs.
SORT_COST, SORT_COST_ON_CPU = 4, 100


def triplet_terms(
    rows: Rows, *, margin: Float[Array, ""], mine: Callable, paper: bool
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of each anchor's triplets, those that `mine` chooses.

    Once the active triplets are known, their sum is linear in the distances: each
    distance times its pair gradient, plus the margin times the number of active
    triplets. `mine` finds both, and is not differentiated.
    """
    positive = rows.positive_or_self
    if paper:
        positive = rows.positive & jnp.any(rows.negative, axis=1)[:, None]
    pair_gradients, active, number = mine(
        *jax.lax.stop_gradient((rows, positive, margin)), paper=paper
    )
    total = jnp.sum(pair_gradients * rows.squared, axis=1) + margin * active
    return total, number


def semi_hard_sums(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """Each positive pair with the nearest negative beyond it."""
    runs = find_class_runs(pairs.anchors, pairs.references)
    start = pairs.anchors.position[0]

    def mine(rows: Rows, positive, margin, *, paper: bool):
        add_positive = partial(mine_semi_hard, ties=paper)
        number = count_true(positive, rows.squared.dtype)
        return *loop_gradients(
            rows, positive, margin, runs, start, add_positive
        ), number

    return sum_rows(partial(terms, mine=mine), pairs, hyperparameters, plan)


def all_sums(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """Each positive pair with every negative."""
    runs = find_class_runs(pairs.anchors, pairs.references)
    start = pairs.anchors.position[0]
    most = jnp.max(runs.size, initial=0)
    cost = SORT_COST_ON_CPU if on_cpu() else SORT_COST
    many = most > cost * math.log2(len(runs.order))

    def mine(rows: Rows, positive, margin, *, paper: bool):
        del paper
        few = loop_gradients(rows, positive, margin, runs, start, mine_all, many)
        sort = partial(sorted_gradients, rows.squared, positive, rows.negative)
        few = pvary_like(pairs.anchors, few)
        pair_gradients, active = run_if(many, sort, margin, few)
        dtype = pair_gradients.dtype
        number = count_true(positive, dtype) * count_true(rows.negative, dtype)
        return pair_gradients, active, number

    return sum_rows(partial(terms, mine=mine), pairs, hyperparameters, plan)


class OnePositive(NamedTuple):
    """One positive for each anchor."""

    position: Int[Array, " b"]
    squared: Float[Array, " b"]  # its squared distance
    valid: Bool[Array, " b"]  # False where the anchor has no such positive


def loop_gradients(
    rows: Rows,
    positive: Bool[Array, "b n"],
    margin: Float[Array, ""],
    runs: ClassRuns,
    start: Int[Array, ""],
    mine_for_one: Callable,
    unless: bool | Bool[Array, ""] = False,
) -> tuple[Float[Array, "b n"], Float[Array, " b"]]:
    """The pair gradients of each row and its active triplets, positive by positive.

    Args:
        rows: the rows.
        positive: which of their pairs count as positive.
        margin: of the loss.
        runs: of the anchors' labels among all references. The longest is known at run
            time only, and is the number of turns.
        start: the position of the first anchor, which has the first of the runs.
        mine_for_one: adds the triplets with one positive of each anchor.
        unless: True for no turn at all.
    """
    anchor = rows.anchor[:, 0] - start
    first, size = runs.first[anchor], runs.size[anchor]
    has_negative = jnp.any(rows.negative, axis=1)

    def add_positive(k, carry):
        pair_gradients, active = carry
        position = runs.order.at[first + k].get(mode="clip")
        row = jnp.arange(len(position))
        valid = has_negative & (k < size) & positive[row, position]
        one = OnePositive(position, rows.squared[row, position], valid)
        pair_gradients, number = mine_for_one(
            pair_gradients, rows, positive, margin, one
        )
        return pair_gradients.at[row, position].add(number), active + number

    nothing = jnp.zeros_like(rows.squared), jnp.zeros_like(rows.squared[:, 0])
    turns = jnp.where(unless, 0, jnp.max(size, initial=0))
    return jax.lax.fori_loop(0, turns, add_positive, nothing)


def hinge_slope(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The derivative of ``[x]+``: 1 above 0, one half at 0, 0 below."""
    return (jnp.sign(x) + 1) / 2


def mine_all(
    pair_gradients: Float[Array, "b n"], rows: Rows, positive, margin, one: OnePositive
) -> tuple[Float[Array, "b n"], Float[Array, " b"]]:
    """Subtracts 1 from the gradient by each negative inside the margin.

    Returns:
        The pair gradients, and the number of these negatives.
    """
    del positive
    gaps = (one.squared + margin)[:, None] - rows.squared
    active = jnp.where(rows.negative & one.valid[:, None], hinge_slope(gaps), 0)
    return pair_gradients - active, jnp.sum(active, axis=1)


def mine_semi_hard(
    pair_gradients: Float[Array, "b n"],
    rows: Rows,
    positive: Bool[Array, "b n"],
    margin: Float[Array, ""],
    one: OnePositive,
    *,
    ties: bool,
) -> tuple[Float[Array, "b n"], Float[Array, " b"]]:
    """Subtracts 1 from the gradient by the semi-hard negative inside the margin.

    With `ties`, a negative exactly as far as the positive counts as one before it.
    Without, it does not count, and where there is no other negative the original takes
    the first item, whatever its label.

    Returns:
        The pair gradients, and 1 for an anchor with such a negative.
    """
    beyond = rows.squared - one.squared[:, None]
    nearest, distance = first_minimum(
        jnp.where(rows.negative & (beyond > FLOOR), beyond, jnp.inf)
    )
    has_beyond = distance != jnp.inf  # not "< inf": a NaN counts, so that it shows
    before = beyond <= FLOOR if ties else beyond < -FLOOR
    # This depends on `has_beyond`, so XLA can reuse the memory of the first search.
    farthest, distance = first_minimum(
        jnp.where(rows.negative & before & ~has_beyond[:, None], -beyond, jnp.inf)
    )
    first_item = jnp.argmax(positive | rows.negative, axis=1)
    farthest = jnp.where(distance == jnp.inf, first_item, farthest)
    position = jnp.where(has_beyond, nearest, farthest)
    row = jnp.arange(len(position))
    active = hinge_slope(one.squared - rows.squared[row, position] + margin)
    active = jnp.where(one.valid, active, 0)
    return pair_gradients.at[row, position].add(-active), active
