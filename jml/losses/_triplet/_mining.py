"""Ways to choose triplets, row by row: semi-hard, nearest, hardest, all."""

import math
from functools import partial

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml._numerics import first_minimum
from jml.distances import FLOOR
from jml.pairwise import (
    Hyperparameters,
    Pairs,
    Plan,
    Rows,
    Sums,
    Terms,
    count_true,
    masked_sum,
    mean_of_each,
    on_cpu,
    pvary_like,
    run_if,
    sum_rows,
)

from ._formula import (
    FindPositives,
    Mine,
    Mined,
    OnePositive,
    Options,
    find_positives,
    loop_over_positives,
    no_triplets,
)
from ._sorted import sorted_gradients

# Sorting a row takes as long as this many passes over it for each doubling of its
# length. XLA's sort is slow on CPUs.
SORT_COST, SORT_COST_ON_CPU = 4, 100


def make_mine(mining: str, pairs: Pairs) -> Mine:
    """The function that chooses the triplets of some rows of these pairs."""
    if mining == "semi":
        return partial(mine_semi_hard, find_positives(pairs))
    if mining == "all":
        return partial(mine_all, find_positives(pairs), pairs)
    return mine_nearest if mining == "hardest" else mine_batch_hard


def row_sums(
    mining: str,
    terms: Terms,
    pairs: Pairs,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Sums:
    """Sums over rows, each with the triplets of its anchor."""
    mine = make_mine(mining, pairs)
    return sum_rows(partial(terms, mine=mine), pairs, hyperparameters, plan)


def row_means(
    mining: str,
    terms: Terms,
    pairs: Pairs,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Float[Array, " b"]:
    """The mean over the triplets of each anchor."""
    mine = make_mine(mining, pairs)
    return mean_of_each(partial(terms, mine=mine), pairs, hyperparameters, plan)


def mine_all(
    find: FindPositives,
    pairs: Pairs,
    rows: Rows,
    positive: Bool[Array, "b n"],
    margin: Float[Array, ""],
    options: Options,
) -> Mined:
    """Each positive with every negative, or with those that a miner puts to it."""
    positives = find(rows)
    add = partial(_add_all, rows, margin, options)
    start = no_triplets(rows, count_all(rows, positive))
    loop = partial(loop_over_positives, rows, positive, positives, add, start)
    chosen = rows.times is not None or rows.weight is not None
    if chosen or options.smooth or options.count_active:
        return loop()
    cost = SORT_COST_ON_CPU if on_cpu() else SORT_COST
    most = jnp.max(positives.size, initial=0)
    many = most > cost * math.log2(rows.values.shape[1])
    few = pvary_like(pairs.anchors, loop(unless=many))

    def sort(margin: Float[Array, ""]) -> Mined:
        masks = positive, rows.negative
        gradients, slopes = sorted_gradients(rows.squared, *masks, margin)
        return few._replace(pair_gradients=gradients, slopes=slopes)

    return run_if(many, sort, margin, few)


def count_all(rows: Rows, positive: Bool[Array, "b n"]) -> Float[Array, " b"]:
    """The number of triplets of each anchor."""
    dtype = rows.values.dtype
    if rows.gap is not None:
        return masked_sum(rows.times, positive)
    negatives = count_true(rows.negative, dtype)
    if rows.times is not None:
        negatives = masked_sum(rows.times, rows.negative)
    return count_true(positive, dtype) * negatives


def choose_all(
    rows: Rows, one: OnePositive
) -> tuple[Bool[Array, "b n"], Float[Array, "b n"]]:
    """Which negatives make a triplet with one positive, and how often."""
    chosen, times = rows.negative & one.valid[:, None], jnp.ones_like(rows.squared)
    if rows.gap is not None:
        row = jnp.arange(len(one.position))
        gap = rows.distance - rows.distance[row, one.position][:, None]
        chosen &= (gap > rows.gap[0]) & (gap <= rows.gap[1])
    elif rows.times is not None:
        times = rows.times
    return chosen, times


def _add_all(
    rows: Rows, margin: Float[Array, ""], options: Options, mined: Mined, one: OnePositive
) -> Mined:
    """Adds the triplets with every negative of each anchor."""
    value, slope = options.penalty
    excess = (one.squared + margin)[:, None] - rows.squared
    chosen, times = choose_all(rows, one)
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


def mine_semi_hard(
    find: FindPositives,
    rows: Rows,
    positive: Bool[Array, "b n"],
    margin: Float[Array, ""],
    options: Options,
) -> Mined:
    """Each positive with the nearest negative beyond it."""

    def add(mined: Mined, one: OnePositive) -> Mined:
        negative = semi_hard_negative(rows, positive, options, one)
        return add_one_negative(rows, margin, options, mined, one, negative)

    start = no_triplets(rows, count_true(positive, rows.values.dtype))
    return loop_over_positives(rows, positive, find(rows), add, start)


def semi_hard_negative(
    rows: Rows, positive: Bool[Array, "b n"], options: Options, one: OnePositive
) -> Int[Array, " b"]:
    """The column of each anchor's nearest negative beyond one positive.

    In "paper", a negative exactly as far as the positive counts as one before it.
    Otherwise it does not count, and where there is no other negative the original takes
    the first item, whatever its label.
    """
    beyond = rows.squared - one.squared[:, None]
    nearest, distance = first_minimum(
        jnp.where(rows.negative & (beyond > FLOOR), beyond, jnp.inf)
    )
    has_beyond = distance != jnp.inf  # not "< inf": a NaN counts, so that it shows
    before = beyond <= FLOOR if options.paper else beyond < -FLOOR
    # This depends on `has_beyond`, so XLA can reuse the memory of the first search.
    farthest, distance = first_minimum(
        jnp.where(rows.negative & before & ~has_beyond[:, None], -beyond, jnp.inf)
    )
    first_item = jnp.argmax(positive | rows.negative, axis=1)
    farthest = jnp.where(distance == jnp.inf, first_item, farthest)
    return jnp.where(has_beyond, nearest, farthest)


def add_one_negative(
    rows: Rows,
    margin: Float[Array, ""],
    options: Options,
    mined: Mined,
    one: OnePositive,
    negative: Int[Array, " b"],
) -> Mined:
    """Adds a triplet of each anchor: with one positive and one negative."""
    value, slope = options.penalty
    row = jnp.arange(len(negative))
    excess = one.squared - rows.squared[row, negative] + margin
    slopes = jnp.where(one.valid, one.weight * slope(excess), 0)
    gradients = mined.pair_gradients.at[row, negative].add(-slopes)
    valid_value = jnp.where(one.valid, value(excess), 0)
    return mined._replace(
        pair_gradients=gradients.at[row, one.position].add(slopes),
        slopes=mined.slopes + slopes,
        total=mined.total + one.weight * valid_value,
        active=mined.active + (valid_value > 0),
    )


def mine_batch_hard(
    rows: Rows, positive: Bool[Array, "b n"], margin: Float[Array, ""], options: Options
) -> Mined:
    """Each anchor's farthest positive, never itself, with its nearest negative."""
    positive = positive & ~rows.itself
    farthest, _ = first_minimum(jnp.where(positive, -rows.squared, jnp.inf))
    nearest, _ = first_minimum(jnp.where(rows.negative, rows.squared, jnp.inf))
    both = jnp.any(positive, axis=1) & jnp.any(rows.negative, axis=1)
    row, weight = jnp.arange(len(both)), jnp.ones_like(rows.squared[:, 0])
    if rows.weight is not None:
        weight = rows.weight[row, farthest]
    one = OnePositive(farthest, rows.squared[row, farthest], both, weight)
    start = no_triplets(rows, both.astype(weight.dtype))
    return add_one_negative(rows, margin, options, start, one, nearest)


def mine_nearest(
    rows: Rows, positive: Bool[Array, "b n"], margin: Float[Array, ""], options: Options
) -> Mined:
    """Each positive with the anchor's nearest negative."""
    value, slope = options.penalty
    position, nearest = first_minimum(jnp.where(rows.negative, rows.squared, jnp.inf))
    excess = rows.squared - nearest[:, None] + margin
    chosen = positive & (nearest != jnp.inf)[:, None]
    values = jnp.where(chosen, value(excess), 0)
    slopes = jnp.where(chosen, slope(excess), 0)
    if rows.weight is not None:
        values, slopes = values * rows.weight, slopes * rows.weight
    more = jnp.sum(slopes, axis=1)
    return Mined(
        pair_gradients=slopes.at[jnp.arange(len(more)), position].add(-more),
        slopes=more,
        total=jnp.sum(values, axis=1),
        number=count_true(positive, more.dtype),
        active=count_true(values > 0, more.dtype),
    )
