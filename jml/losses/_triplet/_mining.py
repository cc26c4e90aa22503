"""Ways to choose triplets, row by row: all, semi-hard, nearest, hardest."""

from functools import partial

import jax.numpy as jnp
from jax.tree_util import Partial
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
    mean_of_each,
    sum_rows,
)

from ._all import mine_all
from ._formula import Mine, Mined, Options, no_triplets
from ._loop import FindPositives, OnePositive, find_positives, loop_over_positives


def make_mine(mining: str, pairs: Pairs) -> Mine:
    """The function that chooses the triplets of some rows of these pairs."""
    if mining == "semi":
        return Partial(mine_semi_hard, find_positives(pairs))
    if mining == "all":
        return Partial(mine_all, find_positives(pairs))
    return Partial(mine_nearest if mining == "hardest" else mine_batch_hard)


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
    beyond = rows.values - one.length[:, None]
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
    excess = one.length - rows.values[row, negative] + margin
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
    farthest, _ = first_minimum(jnp.where(positive, -rows.values, jnp.inf))
    nearest, _ = first_minimum(jnp.where(rows.negative, rows.values, jnp.inf))
    both = jnp.any(positive, axis=1) & jnp.any(rows.negative, axis=1)
    row, weight = jnp.arange(len(both)), jnp.ones_like(rows.values[:, 0])
    if rows.weight is not None:
        weight = rows.weight[row, farthest]
    one = OnePositive(farthest, rows.values[row, farthest], both, weight)
    start = no_triplets(rows, both.astype(weight.dtype))
    return add_one_negative(rows, margin, options, start, one, nearest)


def mine_nearest(
    rows: Rows, positive: Bool[Array, "b n"], margin: Float[Array, ""], options: Options
) -> Mined:
    """Each positive with the anchor's nearest negative."""
    value, slope = options.penalty
    position, nearest = first_minimum(jnp.where(rows.negative, rows.values, jnp.inf))
    excess = rows.values - nearest[:, None] + margin
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
