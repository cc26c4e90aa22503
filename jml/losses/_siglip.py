"""SigLIP loss."""

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
    masked_sum,
    pair_loss,
)
from jml.pairwise._memory import Memory

from ._towers import pair_towers


def siglip_loss(
    queries: Float[Array | np.ndarray, "n d"],
    references: Float[Array | np.ndarray, "m d"],
    *,
    scale: Scalar = 10.0,
    bias: Scalar = -10.0,
    labels: Labels | np.ndarray | None = None,
    reference_labels: Labels | np.ndarray | None = None,
    where: Bool[Array | np.ndarray, " n"] | None = None,
    reference_where: Bool[Array | np.ndarray, " m"] | None = None,
    memory: Memory | None = None,
    related: Related | np.ndarray | None = None,
    miner: Miner | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, "*n"]:
    r"""Decides of each pair of a query and a reference whether they belong together.

    With the cosine similarities $s$ and $z_{ij} = t s_{ij} + b$, and the positives
    $P_i$ and negatives $N_i$ of query $i$,

    $$L = \frac1B \sum_i \Big( \sum_{p \in P_i} \log\big(1 + e^{-z_{ip}}\big)
        + \sum_{n \in N_i} \log\big(1 + e^{z_{in}}\big) \Big).$$

    Without `labels` query $i$ belongs to reference $i$ alone, as an image to its text.
    The mean is over all valid queries. The scale and the bias are usually trained: the
    paper trains $\log t$ and $b$.

    Args:
        queries: one tower's embeddings.
        references: the other tower's.
        scale: the factor $t$ on the similarities.
        bias: the summand $b$. At the start most pairs are negative, and -10 makes their
            terms small.
        labels: the classes of the queries: integers [B], or booleans [B, L].
        reference_labels: the classes of the references.
        where: False for queries to leave out; without labels, also for their
            references. `jml.losses` says more on this and on the arguments that follow.
        reference_where: False for references to leave out.
        memory: earlier references to compare the queries with, too. It needs `labels`.
        related: in place of labels, how each query is related to each reference.
        miner: chooses pairs; see `jml.miners`.
        reduction: "mean", "nonzero", "sum" or "none".
        block_size: the number of queries at a time.
        axis_name: of the mapped axis over which queries and references are spread.

    Returns:
        The loss, a scalar in float32 or float64; [B] for `reduction="none"`.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> images = np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> texts = np.array([[2.0, 0.0], [0.6, 0.8]])
        >>> print(f"{siglip_loss(images, texts):.4f}")
        1.4191

    References:
        Zhai, Mustafa, Kolesnikov, Beyer: Sigmoid Loss for Language Image Pre-Training,
        2023, https://arxiv.org/abs/2303.15343
    """
    batch = Batch(queries, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    options = Options(others, related, miner, reduction)
    batch, options = pair_towers("siglip_loss", queries, batch, options)
    return pair_loss(
        "siglip_loss",
        terms,
        batch,
        {"scale": scale, "bias": bias},
        options=options,
        measure="cosine",
    )


def terms(
    rows: Rows, *, scale: Scalar, bias: Scalar
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each query's sum, and 1 for a query that is valid."""
    z = scale * rows.similarity + bias
    each = jnp.logaddexp(0, jnp.where(rows.positive, -z, z))
    pairs = rows.positive | rows.negative
    return masked_sum(each, pairs, rows.weight), rows.valid.astype(z.dtype)
