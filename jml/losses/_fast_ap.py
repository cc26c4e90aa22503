"""FastAP loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_count
from jml.pairwise import (
    AxisName,
    Batch,
    Labels,
    Miner,
    Options,
    References,
    Related,
    Rows,
    count_true,
    pair_loss,
)
from jml.pairwise._memory import Memory

from ._soft_histograms import Bins, soft_histograms


def fast_ap_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    bins: int = 10,
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
    r"""One minus the average precision of each item, from histograms of distances.

    The squared distances of an anchor, which lie between 0 and 4 on the unit sphere,
    are counted in soft histograms: $h^+_k$ of its positives and $h_k$ of all its pairs
    at node $k$, with the sums $H^+_k$ and $H_k$ up to that node. With its positives $P$

    $$L_i = 1 - \frac{1}{|P_i|} \sum_k \frac{h^+_k H^+_k}{H_k}.$$

    The mean is over the items with a positive. Any number above 0 in `related` makes
    a positive, and all count alike.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        bins: the number of steps between nodes, a static integer. Pairs are told apart
            by more than one step alone: fewer steps have more gradient.
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
        >>> print(f"{fast_ap_loss(x, np.array([0, 0, 1])):.4f}")
        0.0000

    References:
        Cakir, He, Xia, Kulis, Sclaroff: Deep Metric Learning to Rank, 2019,
        https://doi.org/10.1109/CVPR.2019.00196
    """
    check_count("fast_ap_loss", "bins", bins)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "fast_ap_loss",
        terms,
        batch,
        {},
        options=Options(others, related, miner, reduction),
        choices={"bins": int(bins)},
        normalized=True,
    )


def terms(rows: Rows, *, bins: int) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor with a positive.

    A positive's term is the share of negatives up to its node: what a precision lacks
    to 1. So a perfect ranking has loss 0 without rounding.
    """
    anchors = len(rows.values)
    hits, others = soft_histograms(
        rows.squared,
        rows.positive,
        rows.negative,
        Bins(0.0, 4.0, bins),
        table=jnp.arange(anchors)[:, None],
        tables=anchors,
    )
    number = count_true(rows.positive, hits.dtype)
    upto, others_upto = jnp.cumsum(hits, axis=1), jnp.cumsum(others, axis=1)
    every = upto + others_upto
    share = others_upto / jnp.where(every > 0, every, 1)
    total = jnp.sum(hits * share, axis=1) / jnp.maximum(number, 1)
    return total, (number > 0).astype(total.dtype)
