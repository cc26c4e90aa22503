"""Contrastive loss."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_choice
from jml._loss_specs import CONVENTION
from jml.distances import FLOOR, euclidean_distances
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
    masked_sum,
    pair_loss,
    sum_pairs,
)
from jml.pairwise._memory import Memory


def contrastive_loss(
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
    r"""Pulls positive pairs together and pushes negative pairs apart up to a margin.

    With $S_{ij} = |x_i - x_j|^2$ and $D = \sqrt{\max(S, 10^{-16})}$, "paper" is the
    mean over the unordered pairs $i < j$ of

    $$\tfrac12 S_{ij} \text{ (positives)}, \quad
      \tfrac12 [m - D_{ij}]_+^2 \text{ (negatives)}.$$

    "original" sums $S_{ij}$ over positive and $[m - S_{ij}]_+$ over negative pairs
    $i < j$, adds the constant $m$ once more for every negative pair, and divides by
    the number of terms above $10^{-16}$.

    `reduction="nonzero"` of "paper" has one mean over the positive pairs above 0, one
    over the negative pairs above 0, and adds them. "original" has no other mean than
    its own.

    Where negatives coincide, $D$ is $10^{-8}$ instead of 0, because the slope of the
    root is infinite at 0. So "paper" is less than the exact loss by at most
    $10^{-8} m$.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        margin: a squared distance ("original") or a distance ("paper").
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
        >>> x = jnp.array([[0.0], [0.5], [0.6]])
        >>> print(f"{contrastive_loss(x, jnp.array([0, 0, 1]), margin=1.0):.4f}")
        0.7760

    References:
        Hadsell, Chopra, LeCun: Dimensionality Reduction by Learning an Invariant
        Mapping, 2006, https://doi.org/10.1109/CVPR.2006.100
    """
    check_choice("contrastive_loss", "convention", convention, CONVENTION.choices)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    choices = {}
    if convention == "paper":
        choices = {"apart": reduction == "nonzero"}
    return pair_loss(
        "contrastive_loss",
        original_terms if convention == "original" else paper_terms,
        batch,
        {"margin": margin},
        options=Options(others, related, miner, reduction),
        sum_over=sum_pairs,
        choices=choices,
    )


def original_terms(
    rows: Rows, margin: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of each anchor's terms above 0, the constant ones included."""
    squared, negative = rows.squared, rows.negative
    repel = jnp.maximum(margin - squared, 0)
    attract = squared if rows.weight is None else rows.weight * squared
    term = jnp.where(negative, repel, jnp.where(rows.positive_or_self, attract, 0))
    # The original sums over the whole square but has distances above the diagonal only.
    # So below it every negative pair is at distance 0, and adds the margin.
    constant = jnp.maximum(margin, 0)
    constants = count_true(negative, squared.dtype)
    number = count_true(term > FLOOR, squared.dtype) + constants * (constant > FLOOR)
    return jnp.sum(term, axis=1) + constants * constant, number, number


def paper_terms(rows: Rows, margin: Float[Array, ""], *, apart: bool) -> Any:
    """Sum and number of each anchor's pairs; positives and negatives apart if asked."""
    repel = jnp.maximum(margin - euclidean_distances(rows.squared), 0) ** 2
    parts = [
        (rows.positive, rows.squared, rows.weight),
        (rows.negative, repel, None),
    ]
    found = [
        (
            masked_sum(term / 2, mask, weight),
            count_true(mask, term.dtype),
            count_true(mask & (term > 0), term.dtype),
        )
        for mask, term, weight in parts
    ]
    return found if apart else jax.tree.map(jnp.add, *found)
