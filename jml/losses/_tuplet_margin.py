"""Tuplet margin loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._numerics import sine_of
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
    masked_logsumexp,
    masked_sum,
    pair_loss,
)
from jml.pairwise._memory import Memory


def tuplet_margin_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    margin: Scalar = 0.1,
    scale: Scalar = 64.0,
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
    r"""Compares each positive pair, turned closer by an angle, with all negatives.

    With the cosines $\cos \theta$, the set $P$ of pairs of an anchor and a positive,
    the negatives $N_i$ of anchor $i$, a margin $\beta$ and a scale $\sigma$,

    $$L = \frac1{|P|} \sum_{(i,p) \in P} \log\Big( 1 + \sum_{n \in N_i}
        e^{\sigma (\cos \theta_{in} - \cos(\theta_{ip} - \beta))} \Big).$$

    The paper calls $\beta$ a slack margin: it spares the network to pull positives
    together that are within that angle already.

    The sine of $\theta_{ip}$ is at least $4 \sqrt\epsilon$, with the precision
    $\epsilon$ of the dtype (6e-8 in float64, 1e-3 in float32), and its slope is 0 below
    that. So the gradient is finite where items coincide. PML's is NaN there.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        margin: $\beta$, an angle in radians. PML takes degrees: 5.73 by default.
        scale: $\sigma$.
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
        >>> print(f"{tuplet_margin_loss(x, np.array([0, 0, 1]), scale=8.0):.4f}")
        0.0612

    References:
        Yu, Tao: Deep Metric Learning with Tuplet Margin Loss, 2019,
        https://doi.org/10.1109/ICCV.2019.00659
    """
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "tuplet_margin_loss",
        terms,
        batch,
        {"margin": margin, "scale": scale},
        options=Options(others, related, miner, reduction),
        measure="cosine",
    )


def terms(
    rows: Rows, *, margin: Float[Array, ""], scale: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of each anchor's positive pairs, and of those above 0."""
    cosine = rows.similarity
    # cos(theta - margin)
    turned = cosine * jnp.cos(margin) + sine_of(cosine) * jnp.sin(margin)
    repulsion = masked_logsumexp(scale * cosine, rows.negative)[:, None]
    each = jnp.logaddexp(0, repulsion - scale * turned)
    return (
        masked_sum(each, rows.positive, rows.weight),
        count_true(rows.positive, each.dtype),
        count_true(rows.positive & (each > 0), each.dtype),
    )
