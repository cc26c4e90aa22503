"""Sums over positive pairs, with the gradient through the negatives of both ends."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml.distances import euclidean_distances
from jml.pairwise import (
    Hyperparameters,
    Pairs,
    Plan,
    Rows,
    Sums,
    Terms,
    column_log_sums,
    count_devices,
    count_true,
    gather,
    map_rows,
    masked_logsumexp,
    masked_sum,
    mean_of_each,
    psum,
    sum_pairs,
    sum_positives,
    sum_rows,
)


def lifted_sums(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """Sums over the positive pairs, with the gradient through all negatives.

    A positive pair's term depends on the negatives of its ends only through one number
    for each end, the logarithm of its sum over negatives. So the gradient is made in
    three passes: these numbers; the positive pairs, with the slope of the total by each
    of these numbers; the negative pairs, along these slopes.
    """
    repulsion = log_sums(pairs, hyperparameters["margin"], plan)
    attract = sum_positives(terms, pairs, {"repulsion": repulsion}, plan)
    slopes = psum(attract.by_hyperparameters["repulsion"], plan.axis_name)
    same_from_both_ends = plan.miner is None and pairs.anchors.related is None
    follow = partial(
        repel_terms,
        repulsion,
        slopes,
        0 if same_from_both_ends else _anchors(pairs, plan),
    )
    add_up = sum_pairs if same_from_both_ends else sum_rows
    repel = add_up(follow, pairs, hyperparameters, plan)
    by_references = repel.by_references
    if by_references is not None and attract.by_references is not None:
        by_references += attract.by_references
    return attract._replace(
        by_hyperparameters=repel.by_hyperparameters,
        by_anchors=attract.by_anchors + repel.by_anchors,
        by_references=by_references,
    )


def lifted_means(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Float[Array, " b"]:
    """Each anchor's mean over its positive pairs."""
    repulsion = log_sums(pairs, hyperparameters["margin"], plan)
    return mean_of_each(terms, pairs, {"repulsion": repulsion}, plan)


def log_sums(pairs: Pairs, margin: Float[Array, ""], plan: Plan) -> Float[Array, " m"]:
    """``log sum exp(margin - D_in)`` over the negatives n of each anchor i.

    Behind those of the anchors of all devices stand those of references that are no
    anchors: over the anchors of which they are negatives. Where there are none: -inf.
    """

    def scores(rows: Rows) -> tuple[Float[Array, "b n"], Bool[Array, "b n"]]:
        return margin - euclidean_distances(rows.squared), rows.negative

    def of_rows(rows: Rows) -> Float[Array, " b"]:
        return masked_logsumexp(*scores(rows))

    anchors = pairs.anchors
    local = map_rows(of_rows, anchors, pairs.references, plan)
    of_anchors = gather(local, plan.axis_name)
    if pairs.mutual and pairs.memory is None:
        return of_anchors
    others = column_log_sums(scores, anchors, pairs.references, plan)
    if pairs.mutual:
        others = others[len(of_anchors) :]
    return jnp.concatenate([of_anchors, others])


def _anchors(pairs: Pairs, plan: Plan) -> int:
    """The number of anchors on all devices."""
    return len(pairs.anchors.position) * count_devices(plan.axis_name)


def pair_terms(
    rows: Rows, *, repulsion: Float[Array, " m"], paper: bool
) -> tuple[Float[Array, " b"], Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of each anchor's positive pairs, and of those above 0."""
    of_anchor, of_reference = repulsion[rows.anchor], repulsion[rows.reference]
    # Not "> -inf": a NaN counts as a negative, so that it shows.
    has_negative = jnp.maximum(of_anchor, of_reference) != -jnp.inf
    both = jnp.logaddexp(
        jnp.where(has_negative, of_anchor, 0), jnp.where(has_negative, of_reference, 0)
    )
    hinge = jnp.maximum(both + euclidean_distances(rows.squared), 0)
    pairs = rows.positive if paper else rows.positive_or_self
    active = pairs & has_negative
    return (
        masked_sum(hinge**2 / 2, active, rows.weight),
        count_true(pairs, hinge.dtype),
        count_true(active & (hinge > 0), hinge.dtype),
    )


def repel_terms(
    repulsion: Float[Array, " m"],
    slopes: Float[Array, " m"],
    first: int,
    rows: Rows,
    *,
    margin: Float[Array, ""],
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Sums whose derivatives are those of ``slopes . repulsion``.

    The derivative of a log-sum by one of its scores is that score's share of the sum.
    An entry of a row is in the log-sum of its anchor and, from position `first` on, in
    that of its reference.
    """
    scores = margin - euclidean_distances(rows.squared)
    # The exponential of a positive's score could overflow.
    scores = jnp.where(rows.negative, scores, -jnp.inf)

    def share(position: Int[Array, "#b #n"]) -> Float[Array, "b n"]:
        # Without a negative the log-sum is -inf, and the share infinity times 0.
        log_sum = repulsion[position]
        log_sum = jnp.where(log_sum == -jnp.inf, jnp.inf, log_sum)
        # No score is above its log-sum, unless a miner chose other pairs this time: by
        # rounding, where pairs are equally far.
        beyond = scores > log_sum + 1
        log_sum = jnp.where(beyond, jax.lax.stop_gradient(scores), log_sum)
        return slopes[position] * jnp.exp(scores - log_sum)

    of_reference = share(rows.reference)
    if first:
        of_reference = jnp.where(rows.reference >= first, of_reference, 0)
    total = jnp.sum(share(rows.anchor) + of_reference, axis=1)
    return total, jnp.zeros_like(total)
