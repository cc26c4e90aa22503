"""Circle loss."""

import jax
import jax.numpy as jnp
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
    masked_logsumexp,
    pair_loss,
)
from jml.pairwise._memory import Memory


def circle_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    margin: Scalar = 0.4,
    gamma: Scalar = 80.0,
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
    r"""Weighs each similarity by how far it is from its optimum.

    With the cosine similarities $s$, and the positives $P_i$ and negatives $N_i$ of
    anchor $i$,

    $$L_i = \log\Big( 1
        + \sum_{n \in N_i} e^{\gamma [s_{in} + m]_+ (s_{in} - m)}
          \sum_{p \in P_i} e^{-\gamma [1 + m - s_{ip}]_+ (s_{ip} - 1 + m)} \Big).$$

    The mean is over anchors with a positive and a negative. The factors in brackets are
    weights: no gradient by the similarities goes through them. So the gradient is not
    the slope of the value. PML's softplus is linear above 20, which changes its value
    by up to 2e-9.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        margin: $m$: negatives are to lie below it, and positives above 1 less it.
        gamma: $\gamma$, how much hard pairs outweigh the others. The paper has 80 for
            retrieval, and 256 with margin 0.25 for faces.
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
        >>> print(f"{circle_loss(x, np.array([0, 0, 1]), gamma=8.0):.4f}")
        0.5823

    References:
        Sun et al.: Circle Loss: A Unified Perspective of Pair Similarity Optimization,
        2020, https://arxiv.org/abs/2002.10857
    """
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "circle_loss",
        terms,
        batch,
        {"margin": margin, "gamma": gamma},
        options=Options(others, related, miner, reduction),
        measure="cosine",
    )


def terms(
    rows: Rows, *, margin: Float[Array, ""], gamma: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor with a positive and a negative."""
    # 1 - s is to a positive what s is to a negative.
    attract = gamma * paced(1 - rows.similarity, margin)
    repel = gamma * paced(rows.similarity, margin)
    attraction = masked_logsumexp(attract, rows.positive, rows.weight)
    repulsion = masked_logsumexp(repel, rows.negative)
    counts = jnp.any(rows.positive, axis=1) & jnp.any(rows.negative, axis=1)
    total = jnp.logaddexp(0, jnp.where(counts, attraction + repulsion, -jnp.inf))
    return total, counts.astype(total.dtype)


@jax.custom_jvp
def paced(s: Float[Array, "b n"], margin: Float[Array, ""]) -> Float[Array, "b n"]:
    """``max(s + margin, 0) (s - margin)``, whose slope by s is the first factor."""
    return jnp.maximum(s + margin, 0) * (s - margin)


@paced.defjvp
def _(primals, tangents):
    s, margin = primals
    by_s, by_margin = tangents
    weight = jnp.maximum(s + margin, 0)
    slope = jnp.where(s + margin > 0, s - margin, 0) - weight
    return weight * (s - margin), weight * by_s + slope * by_margin
