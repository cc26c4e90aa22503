"""Triplet loss with hardest, semi-hard and no mining."""

from functools import cache, partial

import numpy as np
from jaxtyping import Array, Bool, Float

from jml import pairwise
from jml._checks import check_choice
from jml._loss_specs import CONVENTION, DISTANCE, MINING
from jml._value_checks import check_type
from jml.pairwise import (
    AxisName,
    Batch,
    Labels,
    Miner,
    References,
    Related,
    Scalar,
    pair_loss,
)
from jml.pairwise._memory import Memory

from ._formula import Options, triplet_terms
from ._hardest import hardest_sums, hardest_terms
from ._mining import row_means, row_sums
from ._swap import swap_sums

# A loss compiles for each function, so there is one for each way to mine.
ROW_SUMS = {mining: partial(row_sums, mining) for mining in MINING.choices}
ROW_MEANS = {mining: partial(row_means, mining) for mining in MINING.choices}


@cache
def _with_swap(mining: str, options: Options):
    return partial(swap_sums, mining, options)


def triplet_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    margin: Scalar = 0.2,
    mining: str = "semi",
    smooth: bool = False,
    swap: bool = False,
    distance: str = "squared",
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
    - "all": every triplet, or those that `jml.miners.triplet_margin` chooses;
    - "batch_hard": one triplet an anchor, its farthest positive and nearest negative.
      This one does not depend on `convention`.

    With `smooth` the triplet's term is $\log(1 + e^{S_{ap} - S_{an} + m})$. With `swap`
    it has $\min(S_{an}, S_{pn})$ in place of $S_{an}$, after mining. Of
    `distance="euclidean"` the terms have $\sqrt S$ in place of $S$.

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
        margin: a squared distance, or a distance with `distance="euclidean"`.
        mining: "hardest", "semi", "all" or "batch_hard".
        smooth: the logarithm in place of the hinge.
        swap: the negative's distance to the nearer one of anchor and positive. Each
            positive then costs a product of matrices, and `reduction="none"` is not
            there.
        distance: "squared" or "euclidean".
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
        Recognition and Clustering, 2015, https://arxiv.org/abs/1503.03832. Hermans,
        Beyer, Leibe: In Defense of the Triplet Loss for Person Re-Identification, 2017,
        https://arxiv.org/abs/1703.07737 ("batch_hard", `smooth`). Balntas, Riba, Ponsa,
        Mikolajczyk: Learning local feature descriptors with triplets and shallow
        convolutional neural networks, 2016, https://doi.org/10.5244/C.30.119 (`swap`).
    """
    check_choice("triplet_loss", "mining", mining, MINING.choices)
    check_choice("triplet_loss", "convention", convention, CONVENTION.choices)
    check_type("triplet_loss", "smooth", smooth, bool, "True or False")
    check_type("triplet_loss", "swap", swap, bool, "True or False")
    if swap and reduction == "none":
        raise ValueError(
            'triplet_loss: `swap` has no `reduction="none"`; pass "mean", "nonzero" or '
            '"sum"'
        )
    check_choice("triplet_loss", "distance", distance, DISTANCE.choices)
    choices = Options(
        paper=convention == "paper",
        smooth=smooth,
        swap=swap,
        euclidean=distance == "euclidean",
        count_active=reduction == "nonzero",
    )
    terms, sum_over = triplet_terms, ROW_SUMS[mining]
    if swap:
        sum_over = _with_swap(mining, choices)
    elif mining == "hardest" and miner is None and related is None:
        terms, sum_over = hardest_terms, hardest_sums
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "triplet_loss",
        triplet_terms if reduction == "none" else terms,
        Batch(embeddings, labels, where, memory, block_size, axis_name),
        {"margin": margin},
        options=pairwise.Options(others, related, miner, reduction),
        sum_over=sum_over,
        each=ROW_MEANS[mining],
        choices={"options": choices},
    )
