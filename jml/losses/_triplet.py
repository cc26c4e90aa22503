"""Triplet loss with hardest, semi-hard and no mining."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._checks import check_batch, check_block_size, check_choice
from ..distances import FLOOR, as_compute
from ..pairwise import CONVENTIONS, Rows, count_true, mean, row_mapper

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
            semi = partial(semi_weights, ties=convention == "paper")
            weigh = semi if mining == "semi" else all_weights
            total = weighted_terms(rows, margin, members, weigh)
        count = count_true(rows.positive, total.dtype)
        if mining == "all":
            count *= count_true(rows.negative, total.dtype)
        return total, count

    return mean(*map_rows(row_terms))


def hardest_terms(rows: Rows, margin) -> Float[Array, " b"]:
    """Each anchor's sum over its positives, against its nearest negative."""
    candidates = jnp.where(rows.negative, rows.squared, jnp.inf)
    nearest = first_index_of_minimum(candidates)
    hardest = jnp.take_along_axis(rows.squared, nearest[:, None], axis=1)
    hinge = jnp.maximum(rows.squared - hardest + margin, 0)
    pairs = rows.positive & jnp.any(rows.negative, axis=1)[:, None]
    return jnp.sum(jnp.where(pairs, hinge, 0), axis=1)


def first_index_of_minimum(values: Float[Array, "b n"]) -> Int[Array, " b"]:
    """Where each row has its minimum: two plain reductions, which beat `argmin`."""
    values = jax.lax.stop_gradient(values)
    minimum = jnp.min(values, axis=1, keepdims=True, initial=jnp.inf)
    index = jnp.arange(values.shape[1])[None, :]
    return jnp.min(jnp.where(values == minimum, index, values.shape[1] - 1), axis=1)


class Members(NamedTuple):
    """Which items share a label: a run of `order` for each label."""

    order: Int[Array, " n"]  # items, sorted by label
    first: Int[Array, " n"]  # for each item, where the run of its label begins
    size: Int[Array, " n"]  # and how long it is


def group_by_label(labels: Int[Array, " n"]) -> Members:
    """Finds the items of each label in O(n log n)."""
    order = jnp.argsort(labels)
    ordered = labels[order]
    first = jnp.searchsorted(ordered, labels, side="left")
    return Members(
        order, first, jnp.searchsorted(ordered, labels, side="right") - first
    )


class Pairs(NamedTuple):
    """One positive for each anchor."""

    positive: Int[Array, " b"]  # its index
    squared: Float[Array, " b"]  # its squared distance
    valid: Bool[Array, " b"]  # False where the anchor has no such positive


def weighted_terms(
    rows: Rows, margin, members: Members, weigh: Callable
) -> Float[Array, " b"]:
    """Each anchor's sum over its triplets, one positive of every anchor at a time.

    Once the active triplets are known the sum is linear in the distances: a weight for
    each entry of the matrix, plus the margin times the number of active triplets. The
    weights are constants to differentiation, so that the loop, whose length is known
    at run time only, needs no derivative.
    """
    fixed = jax.lax.stop_gradient((rows, jnp.asarray(margin, rows.squared.dtype)))
    first, size = members.first[rows.anchor], members.size[rows.anchor]
    has_negative = jnp.any(rows.negative, axis=1)

    def add_positive(k, carry):
        weights, active = carry
        positive = members.order.at[first + k].get(mode="clip")
        row = jnp.arange(len(positive))
        valid = has_negative & (k < size) & rows.positive[row, positive]
        pairs = Pairs(positive, fixed[0].squared[row, positive], valid)
        weights, count = weigh(weights, *fixed, pairs)
        return weights.at[row, positive].add(count), active + count

    start = jnp.zeros_like(rows.squared), jnp.zeros_like(rows.squared[:, 0])
    weights, active = jax.lax.fori_loop(
        0, jnp.max(size, initial=0), add_positive, jax.lax.stop_gradient(start)
    )
    return jnp.sum(weights * rows.squared, axis=1) + margin * active


def step(x: Array) -> Array:
    """The derivative of ``[x]+``: 1 above 0, one half at 0, 0 below."""
    return (jnp.sign(x) + 1) / 2


def all_weights(weights, rows: Rows, margin, pairs: Pairs):
    """Takes away 1 for each negative inside the margin, and counts them."""
    gaps = (pairs.squared + margin)[:, None] - rows.squared
    active = jnp.where(rows.negative & pairs.valid[:, None], step(gaps), 0)
    return weights - active, jnp.sum(active, axis=1)


def semi_weights(weights, rows: Rows, margin, pairs: Pairs, *, ties: bool):
    """Takes away 1 for the semi-hard negative if it is inside the margin.

    Without `ties`, a negative exactly as far as the positive is no candidate, and where
    there is no other the original takes item 0, whatever its label.
    """
    beyond = rows.squared - pairs.squared[:, None]
    before = beyond <= FLOOR if ties else beyond < -FLOOR
    nearest = jnp.where(rows.negative & (beyond > FLOOR), beyond, jnp.inf)
    farthest = jnp.where(rows.negative & before, -beyond, jnp.inf)
    has_beyond = jnp.any(nearest < jnp.inf, axis=1)
    index = jnp.where(
        has_beyond, first_index_of_minimum(nearest), first_index_of_minimum(farthest)
    )
    row = jnp.arange(len(index))
    active = step(pairs.squared - rows.squared[row, index] + margin)
    active = jnp.where(pairs.valid, active, 0)
    return weights.at[row, index].add(-active), active
