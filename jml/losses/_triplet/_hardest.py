"""Triplets of every positive pair with the negative nearest to the anchor."""

from functools import partial

import jax.numpy as jnp

from jml.pairwise._blocks import Plan
from jml.pairwise._positives import sum_positives
from jml.pairwise._rows import Pairs, Rows, count_true, masked_sum
from jml.pairwise._sums import Sums, map_rows

from ._first import first_minimum


def hardest_sums(pairs: Pairs, margin, plan: Plan, *, paper: bool) -> Sums:
    """Finds the nearest negatives, then sums over the positives."""
    anchors, items = pairs.anchors, pairs.items
    nearest, own = map_rows(nearest_negatives, anchors, items, plan)
    terms = partial(pair_terms, paper=paper)
    sums = sum_positives(terms, pairs, (margin, plan.gather(own)), plan)

    by_margin, by_squared = sums.numbers
    slopes = plan.sum(by_squared)[anchors.index]
    slopes = jnp.where(own > 0, slopes, 0)[:, None]  # else there is no direction
    push = 2 * slopes * (anchors.embeddings - items.embeddings[nearest])
    by_items = jnp.zeros_like(items.embeddings).at[nearest].add(-push)
    return Sums(sums.total, sums.count, by_margin, sums.anchors + push, by_items)


def nearest_negatives(rows: Rows):
    """Each anchor's nearest negative: its place, and its squared distance or inf."""
    return first_minimum(jnp.where(rows.negative, rows.squared, jnp.inf))


def pair_terms(rows: Rows, numbers, *, paper: bool):
    """Sum and count of each anchor's pairs, as (a, p) and, where p is one too, (p, a).

    Both ends of a pair have the same negatives, if perhaps none.
    """
    margin, nearest = numbers
    mine = nearest[rows.anchor]
    theirs = nearest.at[rows.item].get(mode="fill", fill_value=jnp.inf)
    pairs = rows.positive
    if paper:
        pairs &= rows.other & (mine != jnp.inf)  # a NaN counts, and so shows
    hinge = sum(jnp.maximum(rows.squared - s + margin, 0) for s in (mine, theirs))
    both = pairs & (rows.item < len(nearest))
    count = count_true(pairs, hinge.dtype) + count_true(both, hinge.dtype)
    return masked_sum(hinge, pairs), count
