"""Multi-similarity loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_choice
from jml.pairwise import (
    SIMILARITIES,
    AxisName,
    Batch,
    Labels,
    Miner,
    Options,
    References,
    Related,
    Rows,
    Scalar,
    log1p_sum_exp,
    pair_loss,
)
from jml.pairwise._memory import Memory


def multi_similarity_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    alpha: Scalar = 2.0,
    beta: Scalar = 50.0,
    base: Scalar = 0.5,
    similarity: str = "cosine",
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
    r"""Weighs each pair by its similarity and by the similarities of its neighbours.

    With the similarities $s$, and the positives $P_i$ (without $i$ itself) and
    negatives $N_i$ of item $i$,

    $$L = \frac1B \sum_i \Big(
        \tfrac1\alpha \log\big(1 + \sum_{p \in P_i} e^{-\alpha (s_{ip} - \lambda)}\big)
        + \tfrac1\beta \log\big(1 + \sum_{n \in N_i} e^{\beta (s_{in} - \lambda)}\big)
      \Big).$$

    The mean is over all valid items, also over those without a positive and those that
    a miner leaves without pairs. The paper's mining is `jml.miners.multi_similarity`. A
    row of zeros has similarity 0 to every row and passes no gradient.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        alpha: $\alpha$, how much the farthest positives outweigh the others. It is
            positive: less than 1e-9 counts as that.
        beta: $\beta$, how much the nearest negatives outweigh the others, likewise.
        base: the similarity $\lambda$ above which positives are to lie, and below which
            negatives are.
        similarity: "cosine", or "dot" for inner products of embeddings as they are.
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
        >>> print(f"{multi_similarity_loss(x, np.array([0, 0, 1])):.4f}")
        0.2126

    References:
        Wang, Han, Huang, Dong, Scott: Multi-Similarity Loss with General Pair Weighting
        for Deep Metric Learning, 2019, https://arxiv.org/abs/1904.06627
    """
    check_choice("multi_similarity_loss", "similarity", similarity, SIMILARITIES)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "multi_similarity_loss",
        terms,
        batch,
        {"alpha": alpha, "beta": beta, "base": base},
        options=Options(others, related, miner, reduction),
        measure=similarity,
    )


def terms(
    rows: Rows, *, alpha: Scalar, beta: Scalar, base: Scalar
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor that is valid."""
    above = rows.similarity - base
    alpha, beta = jnp.maximum(alpha, 1e-9), jnp.maximum(beta, 1e-9)
    attract = log1p_sum_exp(-alpha * above, rows.positive, rows.weight) / alpha
    repel = log1p_sum_exp(beta * above, rows.negative) / beta
    return attract + repel, rows.valid.astype(above.dtype)
