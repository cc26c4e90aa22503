"""Triplets of every positive pair with all negatives."""

import math
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jml.pairwise import Rows, count_true, masked_sum, on_cpu, pvary_like, run_if

from ._formula import Mined, Options, no_triplets
from ._loop import FindPositives, OnePositive, loop_over_positives
from ._sorted import sorted_gradients

# Sorting a row takes as long as this many passes over it for each doubling of its
# length. XLA's sort is slow on CPUs.
SORT_COST, SORT_COST_ON_CPU = 4, 100


def mine_all(
    find: FindPositives,
    rows: Rows,
    positive: Bool[Array, "b n"],
    margin: Float[Array, ""],
    options: Options,
) -> Mined:
    """Each positive with every negative, or with those that a miner puts to it."""
    if rows.gap is not None:
        positive = positive & ~rows.itself  # no miner's triplet has an anchor twice
    positives = find(rows)
    add = partial(add_all, rows, margin, options)
    start = no_triplets(rows, count_all(rows, positive))
    loop = partial(loop_over_positives, rows, positive, positives, add, start)
    chosen = rows.times is not None or rows.weight is not None
    if chosen or options.smooth or options.count_active:
        return loop()
    cost = SORT_COST_ON_CPU if on_cpu() else SORT_COST
    most = jnp.max(positives.size, initial=0)
    many = most > cost * math.log2(rows.values.shape[1])
    few = pvary_like(rows.values, loop(unless=many))

    def sort(margin: Float[Array, ""]) -> Mined:
        masks = positive, rows.negative
        gradients, slopes = sorted_gradients(rows.values, *masks, margin)
        return few._replace(pair_gradients=gradients, slopes=slopes)

    return run_if(many, sort, margin, few)


def count_all(rows: Rows, positive: Bool[Array, "b n"]) -> Float[Array, " b"]:
    """The number of triplets of each anchor."""
    dtype = rows.values.dtype
    if rows.gap is not None and rows.times is not None:
        return masked_sum(rows.times, positive)
    negatives = count_true(rows.negative, dtype)
    if rows.times is not None:
        negatives = masked_sum(rows.times, rows.negative)
    return count_true(positive, dtype) * negatives


def choose_all(
    rows: Rows, options: Options, one: OnePositive
) -> tuple[Bool[Array, "b n"], Float[Array, "b n"]]:
    """Which negatives make a triplet with one positive, and how often."""
    chosen, times = rows.negative & one.valid[:, None], jnp.ones_like(rows.values)
    if rows.gap is not None:
        row = jnp.arange(len(one.position))
        distance = rows.values if options.euclidean else rows.distance
        gap = distance - distance[row, one.position][:, None]
        chosen &= (gap > rows.gap[0]) & (gap <= rows.gap[1])
    elif rows.times is not None:
        times = rows.times
    return chosen, times


def add_all(
    rows: Rows,
    margin: Float[Array, ""],
    options: Options,
    mined: Mined,
    one: OnePositive,
) -> Mined:
    """Adds the triplets with every negative of each anchor."""
    value, slope = options.penalty
    excess = (one.length + margin)[:, None] - rows.values
    chosen, times = choose_all(rows, options, one)
    weight = one.weight[:, None] * times
    slopes = jnp.where(chosen, weight * slope(excess), 0)
    more = jnp.sum(slopes, axis=1)
    row = jnp.arange(len(more))
    gradients = (mined.pair_gradients - slopes).at[row, one.position].add(more)
    total, active = mined.total, mined.active
    if options.smooth:
        total += masked_sum(weight * value(excess), chosen)
    if options.count_active:
        active += masked_sum(times, chosen & (value(excess) > 0))
    return mined._replace(
        pair_gradients=gradients,
        slopes=mined.slopes + more,
        total=total,
        active=active,
    )
