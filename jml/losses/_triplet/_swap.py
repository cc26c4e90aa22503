"""Triplets whose negative may be nearer to the positive than to the anchor."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float

from jml._numerics import first_minimum
from jml.distances import FLOOR, squared_distances
from jml.pairwise import (
    Hyperparameters,
    Pairs,
    Plan,
    Rows,
    Side,
    Sums,
    Terms,
    count_true,
    mined_rows,
    pvary_like,
    scan_blocks,
    split_rows,
    sum_rows,
)

from ._all import choose_all, count_all
from ._formula import Mined, Options, no_triplets, positives_of
from ._loop import FindPositives, OnePositive, find_positives, loop_over_positives
from ._mining import semi_hard_negative

ROOT = FLOOR**0.5  # a distance up to this counts as zero


class Swapped(NamedTuple):
    """The triplets with one positive of each anchor, by their negatives."""

    value: Float[Array, "b n"]
    active: Float[Array, "b n"]  # how many are above 0
    by_anchor: Float[Array, "b n"]  # minus the slope by the distance to the anchor
    by_positive: Float[Array, "b n"]  # minus the slope by the distance to the positive
    from_positive: Float[Array, "b n"]  # that distance, or its square


def swap_sums(
    mining: str,
    options: Options,
    terms: Terms,
    pairs: Pairs,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Sums:
    """Sums over rows, with the gradient by distances of positives and negatives.

    These distances stand in no row of the anchor. So the gradient by them is made in a
    second pass, directly by the references.
    """
    find = find_positives(pairs)
    mine = Partial(_mine_of(mining), find, pairs.references)
    sums = sum_rows(partial(terms, mine=mine), pairs, hyperparameters, plan)
    more = _by_references(mining, options, find, pairs, hyperparameters, plan)
    if sums.by_references is not None:
        more += sums.by_references
    return sums._replace(by_references=more)


@cache
def _mine_of(mining: str) -> Callable[..., Mined]:
    return partial(_mine, mining)


def _mine(
    mining: str,
    find: FindPositives,
    references: Side,
    rows: Rows,
    positive: Bool[Array, "b n"],
    margin: Float[Array, ""],
    options: Options,
) -> Mined:
    swap = partial(_swap, mining, options, references, rows, positive, margin)

    def add(mined: Mined, one: OnePositive) -> Mined:
        swapped = swap(one)
        slopes = jnp.sum(swapped.by_anchor + swapped.by_positive, axis=1)
        row = jnp.arange(len(slopes))
        gradients = mined.pair_gradients - swapped.by_anchor
        return mined._replace(
            pair_gradients=gradients.at[row, one.position].add(slopes),
            slopes=mined.slopes + slopes,
            total=mined.total + jnp.sum(swapped.value, axis=1),
            active=mined.active + jnp.sum(swapped.active, axis=1),
        )

    number = count_true(positive, rows.values.dtype)
    if mining == "all":
        number = count_all(rows, positive)
    elif mining == "batch_hard":
        others = jnp.any(positive & ~rows.itself, axis=1)
        number = (others & jnp.any(rows.negative, axis=1)).astype(number.dtype)
    start = no_triplets(rows, number)
    return loop_over_positives(rows, positive, find(rows), add, start)


def _swap(
    mining: str,
    options: Options,
    references: Side,
    rows: Rows,
    positive: Bool[Array, "b n"],
    margin: Float[Array, ""],
    one: OnePositive,
) -> Swapped:
    value, slope = options.penalty
    of_anchor = rows.values
    from_positive = options.length(
        squared_distances(references.embeddings[one.position], references.embeddings)
    )
    nearer = jnp.minimum(of_anchor, from_positive)
    excess = one.length[:, None] - nearer + margin
    chosen, times = _choose(mining, options, rows, positive, one)
    weight = one.weight[:, None] * times
    slopes = jnp.where(chosen, weight * slope(excess), 0)
    # Where both are as near, each has half.
    part = (1 + jnp.sign(of_anchor - from_positive)) / 2
    values = jnp.where(chosen, value(excess), 0)
    return Swapped(
        value=weight * values,
        active=jnp.where(values > 0, times, 0),
        by_anchor=slopes * (1 - part),
        by_positive=slopes * part,
        from_positive=from_positive,
    )


def _choose(
    mining: str,
    options: Options,
    rows: Rows,
    positive: Bool[Array, "b n"],
    one: OnePositive,
) -> tuple[Bool[Array, "b n"], Float[Array, "b n"]]:
    """Which negatives make a triplet with one positive, and how often."""
    if mining == "all":
        return choose_all(rows, options, one)
    valid = one.valid
    if mining == "semi":
        column = semi_hard_negative(rows, positive, options, one)
    else:
        column, _ = first_minimum(jnp.where(rows.negative, rows.values, jnp.inf))
    if mining == "batch_hard":
        others = positive & ~rows.itself
        farthest, _ = first_minimum(jnp.where(others, -rows.values, jnp.inf))
        valid &= (one.position == farthest) & jnp.any(others, axis=1)
    columns = jnp.arange(rows.values.shape[1])[None, :]
    chosen = (columns == column[:, None]) & valid[:, None]
    return chosen, jnp.ones_like(rows.values)


def _by_references(
    mining: str,
    options: Options,
    find: FindPositives,
    pairs: Pairs,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Float[Array, "n d"]:
    """The gradient by distances between references."""
    references, margin = pairs.references, hyperparameters["margin"]
    y = references.embeddings

    def add(gradient: Float[Array, "n d"], block: Side):
        rows = mined_rows(block, references, plan)
        positive = positives_of(rows, options)
        rows = replace(rows, values=options.length(rows.squared))
        swap = partial(_swap, mining, options, references, rows, positive, margin)

        def pull(gradient: Float[Array, "n d"], one: OnePositive):
            swapped = swap(one)
            weights = swapped.by_positive
            if options.euclidean:  # the slope of a root, by squared distances
                lengths = jnp.where(weights > 0, 2 * swapped.from_positive, 1)
                weights = jnp.where(swapped.from_positive > ROOT, weights / lengths, 0)
            ends = y[one.position]
            from_ends = jnp.matmul(weights, y, precision="highest")
            by_ends = jnp.sum(weights, axis=1)[:, None] * ends - from_ends
            from_rest = jnp.matmul(weights.T, ends, precision="highest")
            by_rest = jnp.sum(weights, axis=0)[:, None] * y - from_rest
            return (gradient - 2 * by_rest).at[one.position].add(-2 * by_ends)

        return loop_over_positives(rows, positive, find(rows), pull, gradient), None

    sizes = split_rows(len(pairs.anchors.position), len(references.position), plan)
    start = pvary_like(pairs.anchors, jnp.zeros_like(y))
    return scan_blocks(add, start, pairs.anchors, **sizes)[0]
