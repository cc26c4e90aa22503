"""Multi-similarity loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml.pairwise import AxisName, Batch, Rows, Scalar, masked_logsumexp, pair_loss
from jml.pairwise._memory import Memory


def multi_similarity_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Integer[Array | np.ndarray, " n"],
    *,
    alpha: Scalar = 2.0,
    beta: Scalar = 50.0,
    base: Scalar = 0.5,
    where: Bool[Array | np.ndarray, " n"] | None = None,
    memory: Memory | None = None,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    r"""Weighs each pair by its similarity and by the similarities of its neighbours.

    With the cosine similarities $s$, and the positives $P_i$ (without $i$ itself) and
    negatives $N_i$ of item $i$,

    $$L = \frac1B \sum_i \Big(
        \tfrac1\alpha \log\big(1 + \sum_{p \in P_i} e^{-\alpha (s_{ip} - \lambda)}\big)
        + \tfrac1\beta \log\big(1 + \sum_{n \in N_i} e^{\beta (s_{in} - \lambda)}\big)
      \Big).$$

    The mean is over all items, also over those without a positive. The paper's mining
    is not part of it. A row of zeros has no direction: it passes no gradient, and is at
    similarity 1/2 to all other rows and 1 to other rows of zeros.

    Args:
        embeddings: the batch.
        labels: its classes.
        alpha: $\alpha$, how much the farthest positives outweigh the others. It is
            positive: less than 1e-9 counts as that.
        beta: $\beta$, how much the nearest negatives outweigh the others, likewise.
        base: the similarity $\lambda$ above which positives are to lie, and below which
            negatives are.
        where: False for items to leave out. `jml.losses` says more on this and on the
            next three.
        memory: earlier embeddings to compare the batch with.
        block_size: the number of anchors at a time.
        axis_name: of the mapped axis over which the batch is spread.

    Returns:
        The loss, a scalar in float32 or float64.

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
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    hyper = {"alpha": alpha, "beta": beta, "base": base}
    return pair_loss("multi_similarity_loss", terms, batch, hyper, normalized=True)


def terms(
    rows: Rows, *, alpha: Scalar, beta: Scalar, base: Scalar
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor that is valid."""
    above = 1 - rows.squared / 2 - base  # of unit rows, S = 2 - 2 s
    alpha, beta = jnp.maximum(alpha, 1e-9), jnp.maximum(beta, 1e-9)
    attract = jnp.logaddexp(0, masked_logsumexp(-alpha * above, rows.positive)) / alpha
    repel = jnp.logaddexp(0, masked_logsumexp(beta * above, rows.negative)) / beta
    return attract + repel, jnp.any(rows.positive_or_self, axis=1).astype(above.dtype)
