"""Contrastive loss."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml._checks import check_batch, check_choice, check_number
from jml.distances import FLOOR, as_compute, euclidean_distances
from jml.pairwise._blocks import make_plan
from jml.pairwise._gradient import mean_loss
from jml.pairwise._memory import Memory, check_memory
from jml.pairwise._rows import (
    CONVENTIONS,
    AxisName,
    Rows,
    count_true,
    masked_sum,
    prepare,
)
from jml.pairwise._sums import sum_pairs


def contrastive_loss(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    *,
    margin: float | Float[Array, ""] = 1.0,
    convention: str = "original",
    where: Bool[Array, " n"] | None = None,
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

    Where negatives coincide, $D$ is $10^{-8}$ instead of 0, whose slope is infinite:
    "paper" is less than the exact loss by at most $10^{-8} m$.

    Args:
        embeddings: the batch.
        labels: its classes.
        margin: a squared distance ("original") or a distance ("paper").
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
        >>> print(f"{contrastive_loss(x, jnp.array([0, 0, 1]), margin=1.0):.4f}")
        0.7760

    References:
        Hadsell, Chopra, LeCun: Dimensionality Reduction by Learning an Invariant
        Mapping, 2006, https://doi.org/10.1109/CVPR.2006.100
    """
    embeddings, labels, where = check_batch(
        "contrastive_loss", embeddings, labels, where
    )
    margin = check_number("contrastive_loss", "margin", margin)
    check_choice("contrastive_loss", "convention", convention, CONVENTIONS)
    memory = check_memory("contrastive_loss", memory, embeddings)
    plan = make_plan("contrastive_loss", block_size, axis_name)
    return _contrastive_loss(
        embeddings, labels, margin, where, memory, convention, plan
    )


@partial(jax.jit, static_argnames=("convention", "plan"))
def _contrastive_loss(embeddings, labels, margin, where, memory, convention, plan):
    x, present = prepare(embeddings, where)
    terms = original_terms if convention == "original" else paper_terms
    return mean_loss(
        partial(sum_pairs, terms),
        *(x, labels, present, as_compute(jnp.asarray(margin, x.dtype))),
        memory=memory,
        plan=plan,
    )


def original_terms(rows: Rows, margin):
    """Sum and count of each anchor's terms, the constant ones included."""
    dtype = rows.squared.dtype
    repel = jnp.maximum(margin - rows.squared, 0)
    term = jnp.where(rows.negative, repel, jnp.where(rows.positive, rows.squared, 0))
    # Below the diagonal the original sees distance 0, so a negative adds the margin.
    constant = jnp.maximum(margin, 0)
    constants = count_true(rows.negative, dtype)
    count = count_true(term > FLOOR, dtype) + constants * (constant > FLOOR)
    return jnp.sum(term, axis=1) + constants * constant, count


def paper_terms(rows: Rows, margin):
    """Sum and count of each anchor's pairs with other items."""
    repel = jnp.maximum(margin - euclidean_distances(rows.squared), 0) ** 2
    pairs = rows.other & (rows.positive | rows.negative)
    total = masked_sum(jnp.where(rows.negative, repel, rows.squared), pairs)
    return total / 2, count_true(pairs, total.dtype)
