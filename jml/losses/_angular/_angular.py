"""Angular loss."""

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
    log1p_sum_exp,
    pair_loss,
)
from jml.pairwise._memory import Memory

from ._pair_sums import angular_means, angular_sums


def angular_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    angle: Scalar = 0.698,
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
    r"""Bounds the angle at the negative in the triangle of each triplet.

    With embeddings $x$ on the unit sphere, the angle $\alpha$, and the negatives $N_a$
    of anchor $a$, the loss is the mean over all positive pairs $(a, p)$ of

    $$\log\Big(1 + \sum_{n \in N_a} e^{4 \tan^2 \alpha \, (x_a + x_p) \cdot x_n
        - 2 (1 + \tan^2 \alpha) \, x_a \cdot x_p}\Big).$$

    Time is $O(B P N D)$ for N references and at most P positives an anchor. A row of
    zeros passes no gradient.

    PyTorch Metric Learning does not normalise the negatives, as the paper does, and its
    mined negatives have no effect.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        angle: $\alpha$, in radians: the largest angle that is not pushed. 0.698 is 40
            degrees.
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
        >>> print(f"{angular_loss(x, np.array([0, 0, 1])):.4f}")
        0.3034

    References:
        Wang, Zhou, Wen, Liu, Lin: Deep Metric Learning with Angular Loss, 2017,
        https://arxiv.org/abs/1708.01682
    """
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "angular_loss",
        terms,
        batch,
        {"angle": angle},
        options=Options(others, related, miner, reduction),
        sum_over=angular_sums,
        each=angular_means,
        measure="cosine",
    )


def terms(
    rows: Rows,
    *,
    angle: Float[Array, ""],
    along: Float[Array, " b"],
    share: Float[Array, " b"],
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """The term of one positive pair of each anchor, and 1 where it has one.

    Args:
        rows: the products of the sum of both ends of that pair with all references.
        angle: of the loss.
        along: the product of both ends with each other.
        share: the weight of the pair, and 0 where there is none.
    """
    squared_tangent = jnp.tan(angle) ** 2
    own = 2 * (1 + squared_tangent) * along
    scores = 4 * squared_tangent * rows.similarity - own[:, None]
    total = share * log1p_sum_exp(scores, rows.negative)
    return total, (share > 0).astype(total.dtype)
