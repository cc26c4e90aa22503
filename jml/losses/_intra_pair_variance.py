"""Intra-pair variance loss."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

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
    count_true,
    map_rows,
    masked_sum,
    mean_of_each,
    pair_loss,
    psum,
    pvary_like,
    sum_rows,
)
from jml.pairwise._memory import Memory


def intra_pair_variance_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    pos_epsilon: Scalar = 0.01,
    neg_epsilon: Scalar = 0.01,
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
    r"""Keeps the similarities of positive and of negative pairs near their means.

    With the cosine similarities $s$, the mean $\bar s_+$ of those of the positive pairs
    $P$, and the mean $\bar s_-$ of those of the negative pairs $N$,

    $$L = \frac1{|P|} \sum_{(i,j) \in P}
        \big[(1 - \epsilon_+) \bar s_+ - s_{ij}\big]_+^2
        + \frac1{|N|} \sum_{(i,j) \in N}
        \big[s_{ij} - (1 + \epsilon_-) \bar s_-\big]_+^2.$$

    The means are over the pairs of the whole batch, and pass a gradient, too. The loss
    is meant as an addition to another one. A row of zeros has similarity 0 to every row
    and passes no gradient.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        pos_epsilon: $\epsilon_+$, the share of their mean by which positives may
            be less similar.
        neg_epsilon: $\epsilon_-$, the share of their mean by which negatives may
            be more similar.
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
        ValueError: for a wrong shape or dtype.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 2.0]])
        >>> print(f"{intra_pair_variance_loss(x, np.array([0, 0, 1])):.4f}")
        0.0441

    References:
        Yu, Tao: Deep Metric Learning with Tuplet Margin Loss, 2019,
        https://doi.org/10.1109/ICCV.2019.00659
    """
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "intra_pair_variance_loss",
        terms,
        batch,
        {"pos_epsilon": pos_epsilon, "neg_epsilon": neg_epsilon},
        options=Options(others, related, miner, reduction),
        sum_over=variance_sums,
        each=variance_means,
        measure="cosine",
    )


def terms(
    rows: Rows,
    *,
    pos_epsilon: Float[Array, ""],
    neg_epsilon: Float[Array, ""],
    means: Float[Array, "2"],
) -> Any:
    """Sum and number of each anchor's positives, and of its negatives."""
    low = jnp.maximum((1 - pos_epsilon) * means[0] - rows.similarity, 0)
    high = jnp.maximum(rows.similarity - (1 + neg_epsilon) * means[1], 0)
    return [
        (
            masked_sum(excess**2, mask, weight),
            count_true(mask, excess.dtype),
            count_true(mask & (excess > 0), excess.dtype),
        )
        for excess, mask, weight in (
            (low, rows.positive, rows.weight),
            (high, rows.negative, None),
        )
    ]


def variance_sums(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """Sums over rows, with the gradient through the means.

    It is made in three passes: the means; the slopes of the total by them; the sums,
    with the gradient by each similarity and, along these slopes, by its share of a
    mean. XLA leaves out of the second pass what only the third needs.
    """
    means, numbers = pair_means(pairs, plan)
    sums = sum_rows(terms, pairs, {**hyperparameters, "means": means}, plan)
    if sums.number.ndim:  # the parts apart, for their numbers alone
        return sums
    slopes = psum(sums.by_hyperparameters["means"], plan.axis_name) / numbers

    def follow(rows: Rows, **hyperparameters: Any):
        total, number = terms(rows, **hyperparameters, means=means)
        return total + jnp.stack(similarity_sums(rows), axis=1) @ slopes, number

    followed = sum_rows(follow, pairs, hyperparameters, plan)
    return followed._replace(total=sums.total, number=sums.number)


def variance_means(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Float[Array, " b"]:
    """Each anchor's means over its pairs."""
    means, _ = pair_means(pairs, plan)
    return mean_of_each(terms, pairs, {**hyperparameters, "means": means}, plan)


def pair_means(pairs: Pairs, plan: Plan) -> tuple[Float[Array, "2"], Float[Array, "2"]]:
    """The mean similarities of all positive and of all negative pairs.

    Behind them stand the numbers of these pairs, or 1 for none.
    """

    def of_rows(rows: Rows):
        dtype = rows.similarity.dtype
        numbers = [count_true(mask, dtype) for mask in (rows.positive, rows.negative)]
        return similarity_sums(rows), numbers

    of_anchors = map_rows(of_rows, pairs.anchors, pairs.references, plan)
    local = jax.tree.map(jnp.sum, of_anchors)
    sums, numbers = (jnp.stack(part) for part in psum(local, plan.axis_name))
    numbers = jnp.maximum(numbers, 1)
    return pvary_like(pairs.anchors, (sums / numbers, numbers))


def similarity_sums(rows: Rows) -> list[Float[Array, " b"]]:
    """Each anchor's sums of the similarities of its positives and its negatives."""
    masks = rows.positive, rows.negative
    return [masked_sum(rows.similarity, mask) for mask in masks]
