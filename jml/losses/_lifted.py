"""Lifted structured loss."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jml._checks import check_choice
from jml._loss_specs import CONVENTION
from jml.distances import euclidean_distances
from jml.pairwise import (
    AxisName,
    Batch,
    Hyperparameters,
    Labels,
    Miner,
    Options,
    Pairs,
    Plan,
    References,
    Related,
    Rows,
    Scalar,
    Sums,
    Terms,
    column_log_sums,
    count_true,
    gather,
    map_rows,
    masked_logsumexp,
    masked_sum,
    mean_of_each,
    pair_loss,
    psum,
    sum_pairs,
    sum_positives,
    sum_rows,
)
from jml.pairwise._memory import Memory


def lifted_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    margin: Scalar = 1.0,
    convention: str = "original",
    where: Bool[Array | np.ndarray, " n"] | None = None,
    memory: Memory | None = None,
    references: Float[Array | np.ndarray, "m d"] | None = None,
    reference_labels: Labels | np.ndarray | None = None,
    reference_where: Bool[Array | np.ndarray, " m"] | None = None,
    related: Related | np.ndarray | None = None,
    miner: Miner | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, "*n"]:
    r"""Compares each positive pair with all negatives of both its ends.

    With distances $D = \sqrt{\max(|x_i - x_j|^2, 10^{-16})}$ and the negatives $N_i$ of
    item $i$,

    $$J_{ij} = \log\Big(\sum_{n \in N_i} e^{m - D_{in}}
        + \sum_{n \in N_j} e^{m - D_{jn}}\Big) + D_{ij}, \qquad
      L = \frac{1}{2|P|} \sum_{(i,j) \in P} [J_{ij}]_+^2.$$

    In "paper" $P$ holds each unordered positive pair once; in "original" it holds the
    ordered pairs and the pair of each item with itself.

    Where items coincide, $D$ is $10^{-8}$ instead of 0, because the slope of the root
    is infinite at 0. So the loss differs from the exact one by at most $10^{-8}
    \sqrt{2L}$: 2e-8 for a loss of 2.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        margin: a distance.
        convention: "original" or "paper".
        where: False for items to leave out. `jml.losses` says more on this and on the
            arguments that follow.
        memory: earlier embeddings to compare the batch with.
        references: what to compare the batch with in place of itself.
        reference_labels: the classes of the references.
        reference_where: False for references to leave out.
        related: in place of labels, how each item is related to each reference.
        miner: chooses pairs; see `jml.miners`.
        reduction: "mean", "nonzero", "sum" or "none".
        block_size: the number of anchors at a time.
        axis_name: of the mapped axis over which the batch is spread.

    Returns:
        The loss, a scalar in float32 or float64; [B] for `reduction="none"`.

    Raises:
        ValueError: for a wrong shape, dtype or choice.

    Example:
        >>> x = jnp.array([[0.0], [0.5], [0.6]])
        >>> print(f"{lifted_loss(x, jnp.array([0, 0, 1]), margin=1.0):.4f}")
        1.5031

    References:
        Oh Song, Xiang, Jegelka, Savarese: Deep Metric Learning via Lifted Structured
        Feature Embedding, 2016, https://arxiv.org/abs/1511.06452
    """
    check_choice("lifted_loss", "convention", convention, CONVENTION.choices)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "lifted_loss",
        pair_terms,
        batch,
        {"margin": margin},
        options=Options(others, related, miner, reduction),
        sum_over=lifted_sums,
        each=lifted_means,
        choices={"paper": convention == "paper"},
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
    if attract.by_references is not None:
        by_references = attract.by_references + by_references
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
    size = len(pairs.anchors.position)
    return size if plan.axis_name is None else size * jax.lax.axis_size(plan.axis_name)


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
        return slopes[position] * jnp.exp(scores - log_sum)

    of_reference = share(rows.reference)
    if first:
        of_reference = jnp.where(rows.reference >= first, of_reference, 0)
    total = jnp.sum(share(rows.anchor) + of_reference, axis=1)
    return total, jnp.zeros_like(total)
