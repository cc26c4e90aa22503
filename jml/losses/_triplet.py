"""Triplet loss with hardest, semi-hard and no mining."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._checks import check_batch, check_block_size, check_choice, check_number
from ..distances import as_compute
from ..pairwise import CONVENTIONS, Rows, count_true, mean, row_mapper
from ._mining import (
    all_weights,
    group_by_label,
    hardest_terms,
    semi_hard_weights,
    weighted_terms,
)

MININGS = ("hardest", "semi", "all")


def triplet_loss(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    *,
    margin: float | Float[Array, ""] = 0.2,
    mining: str = "semi",
    convention: str = "original",
    where: Bool[Array, " n"] | None = None,
    block_size: int | None = None,
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
    both out. Time is $O(P B^2)$ for at most P positives an anchor, memory $O(B^2)$.

    Args:
        embeddings: the batch.
        labels: its classes.
        margin: a squared distance.
        mining: which negatives.
        convention: see the package's description, as for the next two.
        where: False for absent items.
        block_size: anchors at a time.

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
    check_batch("triplet_loss", embeddings, labels, where)
    check_number("triplet_loss", "margin", margin)
    check_choice("triplet_loss", "mining", mining, MININGS)
    check_choice("triplet_loss", "convention", convention, CONVENTIONS)
    check_block_size("triplet_loss", block_size)
    return _triplet_loss(
        embeddings, labels, margin, where, mining, convention, block_size
    )


@partial(jax.jit, static_argnames=("mining", "convention", "block_size"))
def _triplet_loss(embeddings, labels, margin, where, mining, convention, block_size):
    if not len(labels):  # there is no first index to fall back on
        return jnp.sum(as_compute(embeddings))
    map_rows = row_mapper(embeddings, labels, where=where, block_size=block_size)
    members = group_by_label(labels)

    def row_terms(rows: Rows):
        if convention == "paper":
            has_negative = jnp.any(rows.negative, axis=1)[:, None]
            rows = rows._replace(positive=rows.positive & rows.other & has_negative)
        if mining == "hardest":
            total = hardest_terms(rows, margin)
        else:
            semi = partial(semi_hard_weights, ties=convention == "paper")
            weigh = semi if mining == "semi" else all_weights
            total = weighted_terms(rows, margin, members, weigh)
        count = count_true(rows.positive, total.dtype)
        if mining == "all":
            count *= count_true(rows.negative, total.dtype)
        return total, count

    return mean(*map_rows(row_terms))
