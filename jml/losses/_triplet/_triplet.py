"""Triplet loss with hardest, semi-hard and no mining."""

import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_choice
from jml._loss_specs import CONVENTION
from jml.pairwise import AxisName, Batch, Scalar, pair_loss
from jml.pairwise._memory import Memory

from ._hardest import hardest_sums, hardest_terms
from ._mining import all_sums, semi_hard_sums, triplet_terms

MINING = {
    "hardest": (hardest_terms, hardest_sums),
    "semi": (triplet_terms, semi_hard_sums),
    "all": (triplet_terms, all_sums),
}


def triplet_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Integer[Array | np.ndarray, " n"],
    *,
    margin: Scalar = 0.2,
    mining: str = "semi",
    convention: str = "original",
    where: Bool[Array | np.ndarray, " n"] | None = None,
    memory: Memory | None = None,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
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
        labels: its classes.
        margin: a squared distance.
        mining: "hardest", "semi" or "all".
        convention: "original" or "paper".
        where: False for items to leave out. `jml.losses` says more on this and on the
            next three.
        memory: earlier embeddings to compare the batch with.
        block_size: the number of anchors at a time.
        axis_name: of the mapped axis over which the batch is spread.

    Returns:
        The loss, a scalar in float32 or float64.

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
    terms, sum_over = MINING[mining]
    return pair_loss(
        "triplet_loss",
        terms,
        batch,
        {"margin": margin},
        sum_over=sum_over,
        choices={"paper": convention == "paper"},
    )
