"""Contrastive loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_choice
from jml._loss_specs import CONVENTION
from jml.distances import FLOOR, euclidean_distances
from jml.pairwise import (
    AxisName,
    Batch,
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
    labels: Integer[Array | np.ndarray, " n"],
    *,
    margin: Scalar = 1.0,
    convention: str = "original",
    where: Bool[Array | np.ndarray, " n"] | None = None,
    memory: Memory | None = None,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    r"""Pulls positive pairs together and pushes negative pairs apart up to a margin.

    With $S_{ij} = |x_i - x_j|^2$ and $D = \sqrt{\max(S, 10^{-16})}$, "paper" is the
    mean over the unordered pairs $i < j$ of

    $$\tfrac12 S_{ij} \text{ (positives)}, \quad
      \tfrac12 [m - D_{ij}]_+^2 \text{ (negatives)}.$$

    "original" sums $S_{ij}$ over positive and $[m - S_{ij}]_+$ over negative pairs
    $i < j$, adds the constant $m$ once more for every negative pair, and divides by
    the number of terms above $10^{-16}$.

    Where negatives coincide, $D$ is $10^{-8}$ instead of 0, because the slope of the
    root is infinite at 0. So "paper" is less than the exact loss by at most
    $10^{-8} m$.

    Args:
        embeddings: the batch.
        labels: its classes.
        margin: a squared distance ("original") or a distance ("paper").
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
        >>> x = jnp.array([[0.0], [0.5], [0.6]])
        >>> print(f"{contrastive_loss(x, jnp.array([0, 0, 1]), margin=1.0):.4f}")
        0.7760

    References:
        Hadsell, Chopra, LeCun: Dimensionality Reduction by Learning an Invariant
        Mapping, 2006, https://doi.org/10.1109/CVPR.2006.100
    """
    check_choice("contrastive_loss", "convention", convention, CONVENTION.choices)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    terms = original_terms if convention == "original" else paper_terms
    return pair_loss(
        "contrastive_loss", terms, batch, {"margin": margin}, sum_over=sum_pairs
    )


def original_terms(
    rows: Rows, margin: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of each anchor's terms, the constant ones included."""
    squared, negative = rows.squared, rows.negative
    repel = jnp.maximum(margin - squared, 0)
    attract = jnp.where(rows.positive_or_self, squared, 0)
    term = jnp.where(negative, repel, attract)
    # The original sums over the whole square but has distances above the diagonal only.
    # So below it every negative pair is at distance 0, and adds the margin.
    constant = jnp.maximum(margin, 0)
    constants = count_true(negative, squared.dtype)
    number = count_true(term > FLOOR, squared.dtype) + constants * (constant > FLOOR)
    return jnp.sum(term, axis=1) + constants * constant, number


def paper_terms(
    rows: Rows, margin: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of each anchor's pairs."""
    repel = jnp.maximum(margin - euclidean_distances(rows.squared), 0) ** 2
    pairs = rows.positive | rows.negative
    total = masked_sum(jnp.where(rows.negative, repel, rows.squared), pairs)
    return total / 2, count_true(pairs, total.dtype)
