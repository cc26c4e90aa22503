"""Sums over the positives of each anchor, of a function of how each is ranked.

A positive's soft rank is one plus the sum, over the other items, of a sigmoid of how
much more similar they are. That is a sum over triples. The loop here makes the sums of
one positive of every anchor at a time, and what they add to the weights of the row: so
no array is larger than the rows, and nothing of a turn is kept for the gradient.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jml.pairwise import Rows, Scalar, count_true

T = TypeVar("T")
Vector = Float[Array, " b"]
Numbers = tuple[Float[Array, "b ..."], ...]
# each(hits, misses, *numbers): a function of what lies above one positive of every
# anchor, softly counted: other positives, and negatives.
Each = Callable[..., Float[Array, "b ..."]]


class _Positive(NamedTuple):
    """One positive for each anchor."""

    valid: Bool[Array, " b"]  # False where the anchor has no such positive
    itself: Bool[Array, "b n"]  # the column of the positive
    above: Float[Array, "b n"]  # how much each item is more similar, 0 to 1
    hits: Vector  # the sum over the other positives
    misses: Vector  # the sum over the negatives


def mean_over_positives(
    each: Each,
    rows: Rows,
    temperature: Scalar,
    *numbers: Scalar,
    include_anchor: bool = False,
) -> tuple[Vector, Vector]:
    """Each anchor's mean of `each`, and 1 for an anchor with a positive.

    Args:
        each: of each positive.
        rows: the rows.
        temperature: the width of the sigmoid: less than 1e-9 counts as that.
        numbers: what else `each` depends on.
        include_anchor: whether an anchor counts among its own positives.
    """
    of_each = [jnp.full_like(rows.values[:, 0], 1) * number for number in numbers]
    total = sum_over_positives(
        each, rows, temperature, *of_each, include_anchor=include_anchor
    )
    ranked = rows.positive_or_self if include_anchor else rows.positive
    number = jnp.maximum(count_true(ranked, total.dtype), 1)
    counted = jnp.any(rows.positive, axis=1)
    return jnp.where(counted, total / number, 0), counted.astype(total.dtype)


def sum_over_positives(
    each: Each,
    rows: Rows,
    temperature: Scalar,
    *numbers: Float[Array, "b ..."],
    include_anchor: bool = False,
) -> Vector:
    """Each anchor's sum of `each`, which JAX can differentiate.

    `mean_over_positives` says what the arguments are; `numbers` have an entry for each
    anchor.
    """
    positive = rows.positive_or_self if include_anchor else rows.positive
    scores = rows.similarity / jnp.maximum(temperature, 1e-9)
    return _sum_over_positives(each, scores, numbers, positive, rows.negative)


def fixed_sums_over_positives(
    each: Each, rows: Rows, temperature: Scalar, *numbers: Float[Array, "b ..."]
) -> Float[Array, "b k"]:
    """Each anchor's sum of an `each` of several columns, without a gradient."""
    fixed = jax.lax.stop_gradient((rows.similarity, temperature, numbers))
    scores, numbers = fixed[0] / jnp.maximum(fixed[1], 1e-9), fixed[2]

    def add(total, one: _Positive):
        value = each(one.hits, one.misses, *numbers)
        return total + jnp.where(
            jnp.expand_dims(one.valid, range(1, value.ndim)), value, 0
        )

    zeros = jnp.zeros_like(scores[:, 0])
    shape = jax.eval_shape(each, zeros, zeros, *numbers)
    start = jnp.zeros_like(scores, shape=shape.shape)
    return _walk(add, start, scores, rows.positive, rows.negative)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _sum_over_positives(
    each: Each,
    scores: Float[Array, "b n"],
    numbers: Numbers,
    positive: Bool[Array, "b n"],
    negative: Bool[Array, "b n"],
) -> Vector:
    return _total_and_weights(each, scores, numbers, positive, negative)[0]


@_sum_over_positives.defjvp
def _(each: Each, primals, tangents) -> tuple[Vector, Vector]:
    total, weights, by_numbers = _total_and_weights(each, *primals)
    slope = jnp.sum(weights * tangents[0], axis=1)
    for by_number, tangent in zip(by_numbers, tangents[1], strict=True):
        along = by_number * tangent
        slope += jnp.sum(along, axis=range(1, along.ndim))
    return total, slope


def _total_and_weights(
    each: Each,
    scores: Float[Array, "b n"],
    numbers: Numbers,
    positive: Bool[Array, "b n"],
    negative: Bool[Array, "b n"],
) -> tuple[Vector, Float[Array, "b n"], Numbers]:
    """The sums, and their derivatives by the scores of each row and by the numbers."""

    def add(carry, one: _Positive):
        total, weights, by_numbers = carry
        value, back = jax.vjp(each, one.hits, one.misses, *numbers)
        by_hits, by_misses, *more = back(one.valid.astype(value.dtype))
        slopes = jnp.where(negative, by_misses[:, None], 0)
        slopes = jnp.where(positive & ~one.itself, by_hits[:, None], slopes)
        slopes *= one.above * (1 - one.above)
        slopes -= jnp.where(one.itself, jnp.sum(slopes, axis=1)[:, None], 0)
        total += jnp.where(one.valid, value, 0)
        by_numbers = tuple(a + b for a, b in zip(by_numbers, more, strict=True))
        return total, weights + slopes, by_numbers

    start = jax.tree.map(jnp.zeros_like, (scores[:, 0], scores, numbers))
    return _walk(add, start, scores, positive, negative)


def _walk(
    add: Callable[[T, _Positive], T],
    start: T,
    scores: Float[Array, "b n"],
    positive: Bool[Array, "b n"],
    negative: Bool[Array, "b n"],
) -> T:
    """Adds up something of the first positive of each anchor, the second, and so on.

    The number of turns is known at run time only. All that depends on differentiated
    numbers is an argument or a part of `start`, which JAX needs for forward mode.
    """
    items = scores.shape[1]
    column = jnp.arange(items, dtype=jnp.int32)[None, :]

    def following(place):
        later = jnp.where(positive & (column > place[:, None]), column, items)
        return jnp.min(later, axis=1, initial=items)

    def turn(_, carry):
        place, sums = carry
        # Where an anchor has no further positive, the place is beyond the last column.
        row = jnp.arange(len(place))
        score = scores.at[row, place].get(mode="fill", fill_value=0)
        itself = column == place[:, None]
        above = jax.nn.sigmoid(scores - score[:, None])
        hits = jnp.sum(jnp.where(positive & ~itself, above, 0), axis=1)
        misses = jnp.sum(jnp.where(negative, above, 0), axis=1)
        one = _Positive(place < items, itself, above, hits, misses)
        return following(place), add(sums, one)

    first = following(jnp.full_like(scores[:, 0], -1, dtype=jnp.int32))
    turns = jnp.max(jnp.sum(positive, axis=1), initial=0)
    return jax.lax.fori_loop(0, turns, turn, (first, start))[1]
