"""Triplet loss with hardest, semi-hard and no mining."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml._checks import check_batch, check_choice, check_number
from jml.distances import as_compute
from jml.pairwise._blocks import make_plan
from jml.pairwise._gradient import mean_loss
from jml.pairwise._memory import Memory, check_memory
from jml.pairwise._rows import CONVENTIONS, AxisName, prepare

from ._hardest import hardest_sums
from ._mining import all_sums, semi_hard_sums

SUMS = {"hardest": hardest_sums, "semi": semi_hard_sums, "all": all_sums}


def triplet_loss(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    *,
    margin: float | Float[Array, ""] = 0.2,
    mining: str = "semi",
    convention: str = "original",
    where: Bool[Array, " n"] | None = None,
    memory: Memory | None = None,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    r"""Wants every negative farther from the anchor than every positive, by a margin.

    With $S_{ij} = |x_i - x_j|^2$, the mean over mined triplets of anchor a, positive p,
    negative n of

    $$[S_{ap} - S_{an} + m]_+$$

    - "hardest": each pair (a, p) with the negative nearest to a;
    - "semi": each pair (a, p) with the nearest negative beyond p ($S_{an} > S_{ap}$),
      or, where there is none, with the farthest negative before it;
    - "all": every triplet.

    Ties go to the first index. In "original" an anchor is its own positive too, and the
    mean is over all positive pairs, those without a negative included; "paper" leaves
    both out. A negative exactly as far as p counts as before it for "semi" in "paper";
    in "original" it does not count, and where no other is left, the batch's first item,
    whatever its label, is taken.

    For at most P positives an anchor, among N items (the batch and the memory), time is
    $O(B N D)$ for "hardest" and $O(B N (D + P))$ for the others; for "all" with P
    beyond $100 \log_2 N$ on CPUs, $4 \log_2 N$ elsewhere, where sorting is faster,
    $O(B N (D + \log N))$.

    Args:
        embeddings: the batch.
        labels: its classes.
        margin: a squared distance.
        mining: which negatives.
        convention: see the package's description, as for the next four.
        where: False for absent items.
        memory: earlier embeddings to be held against as well.
        block_size: anchors at a time.
        axis_name: of the mapped axis over which the batch is spread.

    Returns:
        The loss, a scalar in float32 or float64.

    Raises:
        ValueError: for a wrong shape, dtype or choice.

    Example:
        >>> x = jnp.array([[0.0], [0.5], [0.6]])
        >>> loss = triplet_loss(x, jnp.array([0, 0, 1]), margin=1.0, mining="hardest")
        >>> print(f"{loss:.4f}")
        0.9500

    References:
        Schroff, Kalenichenko, Philbin: FaceNet: A Unified Embedding for Face
        Recognition and Clustering, 2015, https://arxiv.org/abs/1503.03832
    """
    embeddings, labels, where = check_batch("triplet_loss", embeddings, labels, where)
    margin = check_number("triplet_loss", "margin", margin)
    check_choice("triplet_loss", "mining", mining, SUMS)
    check_choice("triplet_loss", "convention", convention, CONVENTIONS)
    memory = check_memory("triplet_loss", memory, embeddings)
    plan = make_plan("triplet_loss", block_size, axis_name)
    return _triplet_loss(
        embeddings, labels, margin, where, memory, mining, convention, plan
    )


@partial(jax.jit, static_argnames=("mining", "convention", "plan"))
def _triplet_loss(embeddings, labels, margin, where, memory, mining, convention, plan):
    x, present = prepare(embeddings, where)
    if not len(labels):  # there is no first index to fall back on
        return jnp.sum(x)
    sums = SUMS[mining]
    return mean_loss(
        partial(sums, paper=convention == "paper"),
        *(x, labels, present, as_compute(jnp.asarray(margin, x.dtype))),
        memory=memory,
        plan=plan,
    )
