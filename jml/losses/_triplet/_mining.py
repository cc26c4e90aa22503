"""Which triplets of each anchor count, and what they sum to."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml.distances import FLOOR
from jml.pairwise._blocks import Plan, on_cpu
from jml.pairwise._rows import (
    Members,
    Pairs,
    Rows,
    count_true,
    group_by_label,
    vary_like,
)
from jml.pairwise._sums import Sums, run_if, sum_rows

from ._first import first_minimum
from ._sorted import sorted_weights

# Sorting a row takes as long as this many passes over it for each doubling of its
# length. XLA's sort is slow on CPUs.
SORT_COST, SORT_COST_ON_CPU = 4, 100


def semi_hard_sums(pairs: Pairs, margin, plan: Plan, *, paper: bool) -> Sums:
    """Each positive pair with the nearest negative beyond it."""
    members = group_by_label(pairs.items, pairs.items)
    weigh_one = partial(semi_hard_weights, ties=paper)

    def weigh(rows: Rows, margin):
        count = count_true(rows.positive, rows.squared.dtype)
        return *loop_weights(rows, margin, members, weigh_one), count

    return _triplet_sums(weigh, pairs, margin, plan, paper)


def all_sums(pairs: Pairs, margin, plan: Plan, *, paper: bool) -> Sums:
    """Each positive pair with every negative."""
    members = group_by_label(pairs.items, pairs.items)
    most = jnp.max(members.size[pairs.anchors.index], initial=0)
    cost = SORT_COST_ON_CPU if on_cpu() else SORT_COST
    many = most > cost * math.log2(len(members.size))

    def weigh(rows: Rows, margin):
        few = loop_weights(rows, margin, members, all_weights, unless=many)
        weights, active = run_if(
            many, partial(sorted_weights, rows), margin, vary_like(pairs.anchors, few)
        )
        masks = rows.positive, rows.negative
        positives, negatives = (count_true(m, weights.dtype) for m in masks)
        return weights, active, positives * negatives

    return _triplet_sums(weigh, pairs, margin, plan, paper)


def _triplet_sums(weigh, pairs: Pairs, margin, plan: Plan, paper: bool) -> Sums:
    """Sums over triplets, of which `weigh` says how many each distance is in.

    Once the active triplets are known the sum is linear in the distances: a weight for
    each entry of the matrix, plus the margin times the number of active triplets. The
    weights are constants to differentiation, so that what finds them needs none.
    """

    def terms(rows: Rows, margin):
        if paper:
            has_negative = jnp.any(rows.negative, axis=1)[:, None]
            rows = rows._replace(positive=rows.positive & rows.other & has_negative)
        weights, active, count = weigh(*jax.lax.stop_gradient((rows, margin)))
        return jnp.sum(weights * rows.squared, axis=1) + margin * active, count

    return sum_rows(terms, pairs, margin, plan)


class OnePositive(NamedTuple):
    """One positive for each anchor."""

    positive: Int[Array, " b"]  # its index
    squared: Float[Array, " b"]  # its squared distance
    valid: Bool[Array, " b"]  # False where the anchor has no such positive


def loop_weights(
    rows: Rows, margin, members: Members, weigh_one: Callable, unless=False
) -> tuple[Float[Array, "b n"], Float[Array, " b"]]:
    """The weights of each row, and its active triplets, in a loop over its positives.

    The length of the loop is known at run time only.
    """
    anchor = rows.anchor[:, 0]
    first, size = members.first[anchor], members.size[anchor]
    has_negative = jnp.any(rows.negative, axis=1)

    def add_positive(k, carry):
        weights, active = carry
        positive = members.order.at[first + k].get(mode="clip")
        row = jnp.arange(len(positive))
        valid = has_negative & (k < size) & rows.positive[row, positive]
        pairs = OnePositive(positive, rows.squared[row, positive], valid)
        weights, count = weigh_one(weights, rows, margin, pairs)
        return weights.at[row, positive].add(count), active + count

    start = jnp.zeros_like(rows.squared), jnp.zeros_like(rows.squared[:, 0])
    turns = jnp.where(unless, 0, jnp.max(size, initial=0))
    return jax.lax.fori_loop(0, turns, add_positive, start)


def step(x: Array) -> Array:
    """The derivative of ``[x]+``: 1 above 0, one half at 0, 0 below."""
    return (jnp.sign(x) + 1) / 2


def all_weights(weights, rows: Rows, margin, pairs: OnePositive):
    """Takes away 1 for each negative inside the margin, and counts them."""
    gaps = (pairs.squared + margin)[:, None] - rows.squared
    active = jnp.where(rows.negative & pairs.valid[:, None], step(gaps), 0)
    return weights - active, jnp.sum(active, axis=1)


def semi_hard_weights(weights, rows: Rows, margin, pairs: OnePositive, *, ties: bool):
    """Takes away 1 for the semi-hard negative if it is inside the margin.

    Without `ties`, a negative exactly as far as the positive is no candidate, and where
    there is no other the original takes the first item, whatever its label.
    """
    beyond = rows.squared - pairs.squared[:, None]
    nearest, distance = first_minimum(
        jnp.where(rows.negative & (beyond > FLOOR), beyond, jnp.inf)
    )
    found = distance != jnp.inf  # a NaN counts, and so shows
    before = beyond <= FLOOR if ties else beyond < -FLOOR
    # Waiting for `found` frees the room of the first search.
    farthest, distance = first_minimum(
        jnp.where(rows.negative & before & ~found[:, None], -beyond, jnp.inf)
    )
    first = jnp.argmax(rows.positive | rows.negative, axis=1)
    farthest = jnp.where(distance == jnp.inf, first, farthest)
    index = jnp.where(found, nearest, farthest)
    row = jnp.arange(len(index))
    active = step(pairs.squared - rows.squared[row, index] + margin)
    active = jnp.where(pairs.valid, active, 0)
    return weights.at[row, index].add(-active), active
