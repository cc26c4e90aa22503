"""Generalized lifted structured loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._value_checks import check_type
from jml.distances import euclidean_distances
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
    masked_logsumexp,
    pair_loss,
)
from jml.pairwise._memory import Memory


def generalized_lifted_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    pos_margin: Scalar = 0.0,
    neg_margin: Scalar = 1.0,
    normalized: bool = True,
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
    r"""Compares all positives of an anchor at once with all of its negatives.

    With the distances $D = \sqrt{\max(|x_i - x_j|^2, 10^{-16})}$ of embeddings on the
    unit sphere, and the positives $P_i$ (without $i$ itself) and negatives $N_i$ of
    item $i$,

    $$L = \frac1B \sum_i \Big[ \log \sum_{p \in P_i} e^{D_{ip} - m_+}
        + \log \sum_{n \in N_i} e^{m_- - D_{in}} \Big]_+.$$

    The logarithm of a sum without a pair counts as 0. The mean is over all valid items,
    also over those without a positive and those that a miner leaves without pairs.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        pos_margin: the distance $m_+$, which is taken off those of positives.
        neg_margin: the distance $m_-$, from which those of negatives are taken off.
        normalized: whether embeddings are put on the unit sphere first.
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
        >>> print(f"{generalized_lifted_loss(x, np.array([0, 0, 1])):.4f}")
        0.5095

    References:
        Hermans, Beyer, Leibe: In Defense of the Triplet Loss for Person
        Re-Identification, 2017, https://arxiv.org/abs/1703.07737
    """
    check_type(
        "generalized_lifted_loss", "normalized", normalized, bool, "True or False"
    )
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "generalized_lifted_loss",
        terms,
        batch,
        {"pos_margin": pos_margin, "neg_margin": neg_margin},
        options=Options(others, related, miner, reduction),
        normalized=normalized,
    )


def terms(
    rows: Rows, *, pos_margin: Float[Array, ""], neg_margin: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor that is valid."""
    distances = euclidean_distances(rows.squared)
    attract = masked_logsumexp(distances - pos_margin, rows.positive, rows.weight)
    repel = masked_logsumexp(neg_margin - distances, rows.negative)
    both = (jnp.where(part == -jnp.inf, 0, part) for part in (attract, repel))
    return jnp.maximum(sum(both), 0), rows.valid.astype(distances.dtype)
