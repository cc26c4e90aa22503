"""Triplets of every positive pair with the negative nearest to the anchor."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jml._numerics import first_minimum
from jml.pairwise import (
    Hyperparameters,
    Pairs,
    Plan,
    Rows,
    Sums,
    Terms,
    count_true,
    gather,
    map_rows,
    masked_sum,
    psum,
    sum_positives,
)

from ._formula import Options


def hardest_sums(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """Finds the nearest negatives, then sums over the positives.

    The second pass also gives the slope of the total by the distance to each nearest
    negative. Along these slopes anchors and nearest negatives are pushed apart.
    """
    anchors, references = pairs.anchors, pairs.references
    position, local = map_rows(nearest_negatives, anchors, references, plan)
    nearest = gather(local, plan.axis_name)
    sums = sum_positives(terms, pairs, {**hyperparameters, "nearest": nearest}, plan)

    by_hyperparameters = dict(sums.by_hyperparameters)
    by_nearest = psum(by_hyperparameters.pop("nearest"), plan.axis_name)
    # A distance of 0 has no direction in which it grows.
    slopes = jnp.where(local > 0, by_nearest[anchors.position], 0)[:, None]
    push = 2 * slopes * (anchors.embeddings - references.embeddings[position])
    pulled = sums.by_references
    pulled = jnp.zeros_like(references.embeddings) if pulled is None else pulled
    by_references = pulled.at[position].add(-push)
    by_anchors = sums.by_anchors + push
    return Sums(sums.total, sums.number, by_hyperparameters, by_anchors, by_references)


def nearest_negatives(rows: Rows) -> tuple[Int[Array, " b"], Float[Array, " b"]]:
    """Each anchor's nearest negative: its position, and its squared distance or inf."""
    return first_minimum(jnp.where(rows.negative, rows.squared, jnp.inf))


def hardest_terms(
    rows: Rows,
    *,
    margin: Float[Array, ""],
    nearest: Float[Array, " m"],
    options: Options,
) -> tuple[Float[Array, " b"], Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of the triplets of each anchor's positive pairs, from both ends.

    A pair (a, p) makes one triplet with the negative nearest to a and, if p is an
    anchor as well, one with that nearest to p. Both ends have the same negatives, so
    either both have one or neither.
    """
    of_anchor = nearest[rows.anchor]
    of_reference = nearest.at[rows.reference].get(mode="fill", fill_value=jnp.inf)
    pairs = rows.positive_or_self
    if options.paper:
        # Not "< inf": a NaN counts as a negative, so that it shows.
        pairs = rows.positive & (of_anchor != jnp.inf)
    value, positive = options.penalty.value, options.length(rows.squared)
    total = active = number = jnp.zeros_like(rows.squared[:, 0])
    both = pairs & (rows.reference < len(nearest))
    for chosen, negative in ((pairs, of_anchor), (both, of_reference)):
        nearest_length = options.length(jnp.where(negative == jnp.inf, 1, negative))
        excess = positive - nearest_length + margin
        penalty = jnp.where(negative == jnp.inf, 0, value(excess))
        total += masked_sum(penalty, chosen)
        number += count_true(chosen, penalty.dtype)
        active += count_true(chosen & (penalty > 0), penalty.dtype)
    return total, number, active
