"""Threshold-consistent margin loss."""

from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float

from jml.pairwise import (
    AxisName,
    Batch,
    Labels,
    Miner,
    Options,
    References,
    Related,
    Rows,
    Scalar,
    count_true,
    masked_sum,
    pair_loss,
)
from jml.pairwise._memory import Memory


def threshold_consistent_margin_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    pos_threshold: Scalar = 0.9,
    neg_threshold: Scalar = 0.5,
    pos_weight: Scalar = 1.0,
    neg_weight: Scalar = 1.0,
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
    r"""Pulls and pushes the pairs on the wrong side of two fixed similarities.

    With the cosine similarities $s$, the positive pairs $P$ with $s_{ij} \le m_+$ and
    the negative pairs $N$ with $s_{ij} \ge m_-$,

    $$L = \frac{\lambda_+}{|P|} \sum_{(i,j) \in P} (m_+ - s_{ij})
        + \frac{\lambda_-}{|N|} \sum_{(i,j) \in N} (s_{ij} - m_-).$$

    It is meant as an addition to another loss: with the same two thresholds in every
    class, one threshold suits all classes when the network is used. A row of zeros has
    similarity 0 to every row and passes no gradient.

    PyTorch Metric Learning has the same formula, but takes no references.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        pos_threshold: the similarity $m_+$ above which positives are to lie.
        neg_threshold: the similarity $m_-$ below which negatives are to lie.
        pos_weight: $\lambda_+$.
        neg_weight: $\lambda_-$.
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
        >>> labels = np.array([0, 0, 1])
        >>> print(f"{threshold_consistent_margin_loss(x, labels):.4f}")
        0.2000

    References:
        Zhang, Xu, Tang, Fang, Wu, Tighe, Xing: Threshold-Consistent Margin Loss for
        Open-World Deep Metric Learning, 2024, https://arxiv.org/abs/2307.04047
    """
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    hyperparameters = {"pos_threshold": pos_threshold, "neg_threshold": neg_threshold}
    hyperparameters |= {"pos_weight": pos_weight, "neg_weight": neg_weight}
    return pair_loss(
        "threshold_consistent_margin_loss",
        terms,
        batch,
        hyperparameters,
        options=Options(others, related, miner, reduction),
        measure="cosine",
    )


def terms(
    rows: Rows,
    *,
    pos_threshold: Float[Array, ""],
    neg_threshold: Float[Array, ""],
    pos_weight: Float[Array, ""],
    neg_weight: Float[Array, ""],
) -> Any:
    """Sum and number of each anchor's positives, and of its negatives."""
    similarity = rows.similarity
    # A NaN fails these comparisons, and so counts as a pair: then it shows.
    low = rows.positive & ~(similarity > pos_threshold)
    high = rows.negative & ~(similarity < neg_threshold)
    return [
        part(pos_weight, pos_threshold - similarity, low, rows.weight),
        part(neg_weight, similarity - neg_threshold, high),
    ]


def part(
    factor: Float[Array, ""],
    excess: Float[Array, "b n"],
    mask: Bool[Array, "b n"],
    weight: Float[Array, "b n"] | None = None,
) -> tuple[Float[Array, " b"], ...]:
    """Sum and number of one kind of pairs, and the number of those above 0."""
    number = count_true(mask, excess.dtype)
    above_zero = count_true(mask & (factor * excess > 0), excess.dtype)
    return factor * masked_sum(excess, mask, weight), number, above_zero
