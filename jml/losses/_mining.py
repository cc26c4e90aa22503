"""Which triplets of each anchor count, and what they sum to."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..distances import FLOOR
from ..pairwise import Members, Pairs, Rows, count_true, group_by_label
from ..row_sums import Plan, Sums, sum_rows
from ._first import first_minimum


def semi_hard_sums(pairs: Pairs, margin, plan: Plan, *, paper: bool) -> Sums:
    """Each positive pair with the nearest negative beyond it."""
    weigh = partial(semi_hard_weights, ties=paper)
    return _triplet_sums(weigh, lambda rows: 1, pairs, margin, plan, paper)


def all_sums(pairs: Pairs, margin, plan: Plan, *, paper: bool) -> Sums:
    """Each positive pair with every negative."""

    def negatives(rows: Rows):
        return count_true(rows.negative, rows.squared.dtype)

    return _triplet_sums(all_weights, negatives, pairs, margin, plan, paper)


def _triplet_sums(weigh, times, pairs: Pairs, margin, plan: Plan, paper: bool) -> Sums:
    members = group_by_label(pairs.items, pairs.items)

    def terms(rows: Rows, margin):
        if paper:
            has_negative = jnp.any(rows.negative, axis=1)[:, None]
            rows = rows._replace(positive=rows.positive & rows.other & has_negative)
        total = weighted_terms(rows, margin, members, weigh)
        return total, count_true(rows.positive, total.dtype) * times(rows)

    return sum_rows(terms, pairs, margin, plan)


class OnePositive(NamedTuple):
    """One positive for each anchor."""

    positive: Int[Array, " b"]  # its index
    squared: Float[Array, " b"]  # its squared distance
    valid: Bool[Array, " b"]  # False where the anchor has no such positive


def weighted_terms(
    rows: Rows, margin, members: Members, weigh: Callable
) -> Float[Array, " b"]:
    """Each anchor's sum over its triplets, one positive of every anchor at a time.

    Once the active triplets are known the sum is linear in the distances: a weight for
    each entry of the matrix, plus the margin times the number of active triplets. The
    weights are constants to differentiation, so that the loop, whose length is known
    at run time only, needs no derivative.
    """
    fixed = jax.lax.stop_gradient((rows, jnp.asarray(margin, rows.squared.dtype)))
    anchor = rows.anchor[:, 0]
    first, size = members.first[anchor], members.size[anchor]
    has_negative = jnp.any(rows.negative, axis=1)

    def add_positive(k, carry):
        weights, active = carry
        positive = members.order.at[first + k].get(mode="clip")
        row = jnp.arange(len(positive))
        valid = has_negative & (k < size) & rows.positive[row, positive]
        pairs = OnePositive(positive, fixed[0].squared[row, positive], valid)
        weights, count = weigh(weights, *fixed, pairs)
        return weights.at[row, positive].add(count), active + count

    start = jnp.zeros_like(rows.squared), jnp.zeros_like(rows.squared[:, 0])
    weights, active = jax.lax.fori_loop(
        0, jnp.max(size, initial=0), add_positive, jax.lax.stop_gradient(start)
    )
    return jnp.sum(weights * rows.squared, axis=1) + margin * active


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
    there is no other the original takes item 0, whatever its label.
    """
    beyond = rows.squared - pairs.squared[:, None]
    before = beyond <= FLOOR if ties else beyond < -FLOOR
    nearest = jnp.where(rows.negative & (beyond > FLOOR), beyond, jnp.inf)
    farthest = jnp.where(rows.negative & before, -beyond, jnp.inf)
    nearest, smallest = first_minimum(nearest)
    index = jnp.where(smallest != jnp.inf, nearest, first_minimum(farthest)[0])
    row = jnp.arange(len(index))
    active = step(pairs.squared - rows.squared[row, index] + margin)
    active = jnp.where(pairs.valid, active, 0)
    return weights.at[row, index].add(-active), active
