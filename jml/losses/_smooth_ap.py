"""SmoothAP loss."""

import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_choice
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
    pair_loss,
)
from jml.pairwise._memory import Memory

from ._soft_ranks import Vector, mean_over_positives


def smooth_ap_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    temperature: Scalar = 0.01,
    include_anchor: bool = False,
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
    r"""One minus the average precision of each item, with soft ranks.

    With the similarities $s$, the sigmoid $\sigma$ and the positives $P$ and negatives
    $N$ of item $i$, a positive $p$ has the rank $R^+$ among positives and $R$ in all:

    $$L_i = 1 - \frac{1}{|P|} \sum_{p \in P} \frac{R^+_p}{R_p}, \qquad
      R_p = 1 + \sum_{j \in P \cup N, j \ne p} \sigma((s_{ij} - s_{ip}) / \tau),$$

    and $R^+_p$ is the same sum over $P$ alone. The mean is over the items with a
    positive. Any number above 0 in `related` makes a positive, and all count alike.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        temperature: $\tau$, positive: the difference of similarities over which a rank
            changes. Less than 1e-9 counts as that.
        include_anchor: True counts an anchor among its own positives, as the authors'
            code does. It is then its first one, so the loss is smaller. Without effect
            where `references` replace the batch.
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
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
        >>> print(f"{smooth_ap_loss(x, np.array([0, 1, 0])):.4f}")
        0.5000

    References:
        Brown, Xie, Kalogeiton, Zisserman: Smooth-AP: Smoothing the Path Towards
        Large-Scale Image Retrieval, 2020, https://arxiv.org/abs/2007.12163

    `SmoothAPLoss` of PyTorch Metric Learning is this loss with `include_anchor=True`
    where a batch has as many classes as items of each, sorted by class.
    """
    check_choice("smooth_ap_loss", "include_anchor", include_anchor, (False, True))
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "smooth_ap_loss",
        terms,
        batch,
        {"temperature": temperature},
        options=Options(others, related, miner, reduction),
        measure="cosine",
        choices={"include_anchor": include_anchor},
    )


def terms(
    rows: Rows, *, temperature: Scalar, include_anchor: bool
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor with a positive."""
    return mean_over_positives(
        missing_precision, rows, temperature, include_anchor=include_anchor
    )


def missing_precision(hits: Vector, misses: Vector) -> Vector:
    """The share of negatives up to a positive: what its precision lacks to 1."""
    return misses / (1 + hits + misses)
