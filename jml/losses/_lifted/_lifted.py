"""Lifted structured loss."""

import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_choice
from jml._loss_specs import CONVENTION
from jml.pairwise import (
    AxisName,
    Batch,
    Labels,
    Miner,
    Options,
    References,
    Related,
    Scalar,
    pair_loss,
)
from jml.pairwise._memory import Memory

from ._sums import lifted_means, lifted_sums, pair_terms


def lifted_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    margin: Scalar = 1.0,
    convention: str = "original",
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
    r"""Compares each positive pair with all negatives of both its ends.

    With distances $D = \sqrt{\max(|x_i - x_j|^2, 10^{-16})}$ and the negatives $N_i$ of
    item $i$,

    $$J_{ij} = \log\Big(\sum_{n \in N_i} e^{m - D_{in}}
        + \sum_{n \in N_j} e^{m - D_{jn}}\Big) + D_{ij}, \qquad
      L = \frac{1}{2|P|} \sum_{(i,j) \in P} [J_{ij}]_+^2.$$

    In "paper" $P$ holds each unordered positive pair once; in "original" it holds the
    ordered pairs and the pair of each item with itself.

    Where items coincide, $D$ is $10^{-8}$ instead of 0, because the slope of the root
    is infinite at 0. So the loss differs from the exact one by at most $10^{-8}
    \sqrt{2L}$: 2e-8 for a loss of 2.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        margin: a distance.
        convention: "original" or "paper".
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
        >>> x = np.array([[0.0], [0.5], [0.6]])
        >>> print(f"{lifted_loss(x, np.array([0, 0, 1]), margin=1.0):.4f}")
        1.5031

    References:
        Oh Song, Xiang, Jegelka, Savarese: Deep Metric Learning via Lifted Structured
        Feature Embedding, 2016, https://arxiv.org/abs/1511.06452
    """
    check_choice("lifted_loss", "convention", convention, CONVENTION.choices)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "lifted_loss",
        pair_terms,
        batch,
        {"margin": margin},
        options=Options(others, related, miner, reduction),
        sum_over=lifted_sums,
        each=lifted_means,
        choices={"paper": convention == "paper"},
    )
