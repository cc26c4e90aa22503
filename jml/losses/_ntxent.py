"""NT-Xent: normalised, temperature-scaled cross-entropy of positive pairs."""

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
    count_true,
    masked_logsumexp,
    masked_sum,
    pair_loss,
)
from jml.pairwise._memory import Memory


def ntxent_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    temperature: Scalar = 0.07,
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
    r"""Cross-entropy of each positive pair among the negatives of its anchor.

    With the similarities $s$, the temperature $\tau$, the set $P$ of pairs of an anchor
    and a positive, and the negatives $N_i$ of anchor $i$,

    $$L = \frac1{|P|} \sum_{(i,p) \in P} \log\Big(
        1 + \sum_{n \in N_i} e^{(s_{in} - s_{ip}) / \tau} \Big).$$

    Other positives of the anchor do not stand in the sum. Of two views of each item
    this is the loss of SimCLR. `supcon_loss` with `denominator="one"` has the same
    terms, and their mean over anchors in place of pairs. PML's loss is cut off where a
    softmax underflows, at 87 in float32.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        temperature: $\tau$. It is positive: less than 1e-9 counts as that.
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
        ValueError: for a wrong shape, dtype or choice.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 2.0]])
        >>> print(f"{ntxent_loss(x, np.array([0, 0, 1])):.4f}")
        0.0279

    References:
        Sohn: Improved Deep Metric Learning with Multi-class N-pair Loss Objective,
        2016, https://papers.nips.cc/paper/6200

        Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of
        Visual Representations, 2020, https://arxiv.org/abs/2002.05709
    """
    check_choice("ntxent_loss", "similarity", similarity, SIMILARITIES)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "ntxent_loss",
        terms,
        batch,
        {"temperature": temperature},
        options=Options(others, related, miner, reduction),
        measure=similarity,
    )


def terms(
    rows: Rows, *, temperature: Scalar
) -> tuple[Float[Array, " b"], Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of each anchor's positive pairs, and of those above 0."""
    scores = rows.similarity / jnp.maximum(temperature, 1e-9)
    repulsion = masked_logsumexp(scores, rows.negative)[:, None]
    each = jnp.logaddexp(0, repulsion - scores)
    return (
        masked_sum(each, rows.positive, rows.weight),
        count_true(rows.positive, each.dtype),
        count_true(rows.positive & (each > 0), each.dtype),
    )
