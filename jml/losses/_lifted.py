"""Lifted structured loss."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer

from jml._checks import check_choice
from jml._loss_specs import CONVENTION
from jml.distances import euclidean_distances
from jml.pairwise import (
    AxisName,
    Batch,
    Hyperparameters,
    Pairs,
    Plan,
    Rows,
    Scalar,
    Side,
    Sums,
    Terms,
    count_true,
    gather,
    map_rows,
    masked_logsumexp,
    masked_sum,
    pair_loss,
    psum,
    sum_pairs,
    sum_positives,
)
from jml.pairwise._memory import Memory


def lifted_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Integer[Array | np.ndarray, " n"],
    *,
    margin: Scalar = 1.0,
    convention: str = "original",
    where: Bool[Array | np.ndarray, " n"] | None = None,
    memory: Memory | None = None,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
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
        labels: its classes.
        margin: a distance.
        convention: "original" or "paper".
        where: False for items to leave out. `jml.losses` says more on this and on the
            next three.
        memory: earlier embeddings to compare the batch with.
        block_size: the number of anchors at a time.
        axis_name: of the mapped axis over which the batch is spread.

    Returns:
        The loss, a scalar in float32 or float64.

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
    return pair_loss(
        "lifted_loss",
        pair_terms,
        batch,
        {"margin": margin},
        sum_over=lifted_sums,
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
    margin, axis_name = hyperparameters["margin"], plan.axis_name
    repulsion = gather(
        log_sums(pairs.anchors, pairs.references, margin, plan), axis_name
    )
    if pairs.memory is not None:
        # Negatives of a reference in the memory are those in the batch, which is spread
        # over the devices: each device sums its own, and the sums are added.
        local = log_sums(pairs.memory, pairs.anchors, margin, plan)
        by_device = gather(local[None], axis_name).T
        of_memory = masked_logsumexp(by_device, by_device != -jnp.inf)
        repulsion = jnp.concatenate([repulsion, of_memory])
    attract = sum_positives(terms, pairs, {"repulsion": repulsion}, plan)
    slopes = psum(attract.by_hyperparameters["repulsion"], axis_name)
    follow = partial(repel_terms, repulsion, slopes)
    repel = sum_pairs(follow, pairs, hyperparameters, plan)
    return attract._replace(
        by_hyperparameters=repel.by_hyperparameters,
        by_anchors=attract.by_anchors + repel.by_anchors,
    )


def log_sums(
    anchors: Side, references: Side, margin: Float[Array, ""], plan: Plan
) -> Float[Array, " b"]:
    """``log sum exp(margin - D_in)`` over negatives n; -inf where there are none."""

    def of_rows(rows: Rows) -> Float[Array, " b"]:
        distances = euclidean_distances(rows.squared)
        return margin + masked_logsumexp(-distances, rows.negative)

    return map_rows(of_rows, anchors, references, plan)


def pair_terms(
    rows: Rows, *, repulsion: Float[Array, " m"], paper: bool
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of each anchor's positive pairs."""
    of_anchor, of_reference = repulsion[rows.anchor], repulsion[rows.reference]
    # Not "> -inf": a NaN counts as a negative, so that it shows.
    has_negative = jnp.maximum(of_anchor, of_reference) != -jnp.inf
    both = jnp.logaddexp(
        jnp.where(has_negative, of_anchor, 0), jnp.where(has_negative, of_reference, 0)
    )
    hinge = jnp.maximum(both + euclidean_distances(rows.squared), 0)
    pairs = rows.positive if paper else rows.positive_or_self
    return masked_sum(hinge**2 / 2, pairs & has_negative), count_true(
        pairs, hinge.dtype
    )


def repel_terms(
    repulsion: Float[Array, " m"],
    slopes: Float[Array, " m"],
    rows: Rows,
    *,
    margin: Float[Array, ""],
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Sums whose derivatives are those of ``slopes . repulsion``, from both ends.

    The derivative of a log-sum by one of its scores is that score's share of the sum.
    """
    scores = margin - euclidean_distances(rows.squared)
    # The exponential of a positive's score could overflow.
    scores = jnp.where(rows.negative, scores, -jnp.inf)

    def share(position: Int[Array, "#b #n"]) -> Float[Array, "b n"]:
        # Without a negative the log-sum is -inf, and the share infinity times 0.
        log_sum = repulsion[position]
        log_sum = jnp.where(log_sum == -jnp.inf, jnp.inf, log_sum)
        return slopes[position] * jnp.exp(scores - log_sum)

    total = jnp.sum(share(rows.anchor) + share(rows.reference), axis=1)
    return total, jnp.zeros_like(total)
