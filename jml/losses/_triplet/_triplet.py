"""Triplet loss with hardest, semi-hard and no mining."""

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

from ._hardest import hardest_sums, hardest_terms, nearest_sums
from ._mining import all_sums, semi_hard_sums, triplet_terms

MINING = {
    "hardest": (hardest_terms, hardest_sums),
    "semi": (triplet_terms, semi_hard_sums),
    "all": (triplet_terms, all_sums),
}


def triplet_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    margin: Scalar = 0.2,
    mining: str = "semi",
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
    r"""Pushes negatives farther from the anchor than positives, by a margin.

    With $S_{ij} = |x_i - x_j|^2$, the loss is the mean of

    $$[S_{ap} - S_{an} + m]_+$$

    over triplets of an anchor a, a positive p and a negative n. `mining` chooses them:

    - "hardest": each pair (a, p) with the negative nearest to a;
    - "semi": each pair (a, p) with the nearest negative beyond p ($S_{an} > S_{ap}$),
      or, where there is none, with the farthest negative before it;
    - "all": every triplet.

    Ties go to the first index. In "original" an anchor is its own positive too, and the
    mean is over all positive pairs, those without a negative included. "paper" leaves
    both out.

    For "semi", a negative may be exactly as far as p. In "paper" it counts as before p.
    In "original" it does not count; where there is no other negative, the batch's first
    item is taken, whatever its label.

    Time is $O(B N D)$ for "hardest" and $O(B N (D + P))$ for the others, with N
    references (the batch and the memory) and at most P positives an anchor. For "all"
    with P beyond $100 \log_2 N$ on CPUs, or $4 \log_2 N$ elsewhere, rows are sorted
    instead, in $O(B N (D + \log N))$.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        margin: a squared distance.
        mining: "hardest", "semi" or "all".
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
        >>> loss = triplet_loss(x, np.array([0, 0, 1]), margin=1.0, mining="hardest")
        >>> print(f"{loss:.4f}")
        0.9500

    References:
        Schroff, Kalenichenko, Philbin: FaceNet: A Unified Embedding for Face
        Recognition and Clustering, 2015, https://arxiv.org/abs/1503.03832
    """
    check_choice("triplet_loss", "mining", mining, MINING)
    check_choice("triplet_loss", "convention", convention, CONVENTION.choices)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    terms, sum_over = MINING[mining]
    if mining == "hardest" and not (miner is None and related is None):
        terms, sum_over = triplet_terms, nearest_sums
    return pair_loss(
        "triplet_loss",
        terms,
        batch,
        {"margin": margin},
        options=Options(others, related, miner, reduction),
        sum_over=sum_over,
        choices={"paper": convention == "paper"},
    )
