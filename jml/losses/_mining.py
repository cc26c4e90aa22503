"""Which triplets of each anchor count, and what they sum to."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ..distances import FLOOR
from ..pairwise import Rows


def hardest_terms(rows: Rows, margin) -> Float[Array, " b"]:
    """Each anchor's sum over its positives, against its nearest negative."""
    candidates = jnp.where(rows.negative, rows.squared, jnp.inf)
    nearest, has_negative = first_minimum(candidates)
    hardest = jnp.take_along_axis(rows.squared, nearest[:, None], axis=1)
    hinge = jnp.maximum(rows.squared - hardest + margin, 0)
    pairs = rows.positive & has_negative[:, None]
    return jnp.sum(jnp.where(pairs, hinge, 0), axis=1)


def first_minimum(
    values: Float[Array, "b n"],
) -> tuple[Int[Array, " b"], Bool[Array, " b"]]:
    """Index of each row's first minimum, and whether the row is not all infinite.

    Two plain reductions, which XLA vectorises, as it does not `argmin`.
    """
    values = jax.lax.stop_gradient(values)
    minimum = jnp.min(values, axis=1, keepdims=True)
    index = jnp.arange(values.shape[1])[None, :]
    first = jnp.min(jnp.where(values == minimum, index, values.shape[1] - 1), axis=1)
    return first, minimum[:, 0] != jnp.inf  # NaN counts as found, and so shows


class Members(NamedTuple):
    """Which items share a label: a run of `order` for each label."""

    order: Int[Array, " n"]  # items, sorted by label
    first: Int[Array, " n"]  # for each item, where the run of its label begins
    size: Int[Array, " n"]  # and how long it is


def group_by_label(labels: Int[Array, " n"]) -> Members:
    """Finds the items of each label in O(n log n)."""
    order = jnp.argsort(labels)
    ordered = labels[order]
    first = jnp.searchsorted(ordered, labels, side="left")
    return Members(
        order, first, jnp.searchsorted(ordered, labels, side="right") - first
    )


class Pairs(NamedTuple):
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
    first, size = members.first[rows.anchor], members.size[rows.anchor]
    has_negative = jnp.any(rows.negative, axis=1)

    def add_positive(k, carry):
        weights, active = carry
        positive = members.order.at[first + k].get(mode="clip")
        row = jnp.arange(len(positive))
        valid = has_negative & (k < size) & rows.positive[row, positive]
        pairs = Pairs(positive, fixed[0].squared[row, positive], valid)
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


def all_weights(weights, rows: Rows, margin, pairs: Pairs):
    """Takes away 1 for each negative inside the margin, and counts them."""
    gaps = (pairs.squared + margin)[:, None] - rows.squared
    active = jnp.where(rows.negative & pairs.valid[:, None], step(gaps), 0)
    return weights - active, jnp.sum(active, axis=1)


def semi_hard_weights(weights, rows: Rows, margin, pairs: Pairs, *, ties: bool):
    """Takes away 1 for the semi-hard negative if it is inside the margin.

    Without `ties`, a negative exactly as far as the positive is no candidate, and where
    there is no other the original takes item 0, whatever its label.
    """
    beyond = rows.squared - pairs.squared[:, None]
    before = beyond <= FLOOR if ties else beyond < -FLOOR
    nearest = jnp.where(rows.negative & (beyond > FLOOR), beyond, jnp.inf)
    farthest = jnp.where(rows.negative & before, -beyond, jnp.inf)
    nearest, has_beyond = first_minimum(nearest)
    index = jnp.where(has_beyond, nearest, first_minimum(farthest)[0])
    row = jnp.arange(len(index))
    active = step(pairs.squared - rows.squared[row, index] + margin)
    active = jnp.where(pairs.valid, active, 0)
    return weights.at[row, index].add(-active), active
