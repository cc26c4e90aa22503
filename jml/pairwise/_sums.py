"""Sums over the rows of the pair matrix and their gradients, in blocks of rows.

The gradient of a sum over pairs by the embeddings needs the gradient by each squared
distance, ``G = dL/dS``, and two products of it with the embeddings:

    dL/dx_i = 2 sum_j (G_ij + G_ji) (x_i - x_j).

A block of rows has all of that at hand while it is summed. So value and gradient are
made together, and no matrix is kept between a forward and a backward pass.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jml._gram_distances import inner_products

from ._blocks import Plan, scan_blocks, split_rows
from ._devices import pvary_like
from ._pair_gradients import (
    Hyperparameters,
    Terms,
    by_one_end,
    linearize,
    transposed_product,
)
from ._references import Pairs, References
from ._rows import Rows, make_rows

T = TypeVar("T")


class Sums(NamedTuple):
    """A sum over rows of totals and counts, and the gradient of the total."""

    total: Float[Array, ""]
    number: Float[Array, ""]  # of terms: what the total is divided by
    hyperparameters: Hyperparameters  # the gradient by each
    anchors: Float[Array, "b d"]  # the gradient by each anchor, as an anchor
    references: Float[Array, "n d"] | None = None  # and by each reference, as such


def add_sums(one: Sums, other: Sums) -> Sums:
    """Two sums as one."""
    return jax.tree.map(jnp.add, one, other)


def map_rows(
    function: Callable[[Rows], T],
    anchors: References,
    references: References,
    plan: Plan,
) -> T:
    """Applies a function of rows that returns arrays with one entry for each anchor."""

    def of_block(_, block: References):
        return None, function(make_rows(block, references))

    sizes = split_rows(len(anchors.position), len(references.position), plan)
    return scan_blocks(of_block, None, anchors, **sizes)[1]


def sum_rows(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """Sums over all rows what `terms` gives for each anchor.

    Args:
        terms: ``terms(rows, **hyperparameters)``, differentiable in the squared
            distances and the hyperparameters. It returns a total and a count of terms
            for each anchor.
        pairs: the matrix.
        hyperparameters: by name.
        plan: how many rows at once.
    """
    return _sum_blocks(
        *(terms, pairs.anchors, pairs.references, hyperparameters, plan),
        by_references=True,
    )


def sum_pairs(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """`sum_rows` for a term of each pair that is the same from both of its ends.

    Every pair within the batch then stands in two rows, once for each end. Half of
    their sum is the sum over unordered pairs. An anchor's own row has the whole
    gradient by it, and the gradient by references is not needed: one product less.
    """
    return from_both_ends(sum_anchors, terms, pairs, hyperparameters, plan)


def from_both_ends(
    add_up: Callable[..., Sums],
    terms: Terms,
    pairs: Pairs,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Sums:
    """Half the sum over the batch plus the whole sum over the memory.

    A pair with a reference of the memory stands in one row only.
    """
    sums = add_up(terms, pairs.anchors, pairs.batch, hyperparameters, plan)
    sums = sums._replace(
        total=sums.total / 2,
        number=sums.number / 2,
        hyperparameters=jax.tree.map(lambda a: a / 2, sums.hyperparameters),
    )
    if pairs.memory is not None:
        more = add_up(terms, pairs.anchors, pairs.memory, hyperparameters, plan)
        sums = add_sums(sums, more)
    return sums


def sum_anchors(
    terms: Terms,
    anchors: References,
    references: References,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Sums:
    """Sums over rows, with the gradient by the anchors alone."""
    return _sum_blocks(
        terms, anchors, references, hyperparameters, plan, by_references=False
    )


def _sum_blocks(
    terms: Terms,
    anchors: References,
    references: References,
    hyperparameters: Hyperparameters,
    plan: Plan,
    *,
    by_references: bool,
) -> Sums:
    y = references.embeddings

    def add(carry, block: References):
        total, number, pair_gradients, by_hyperparameters = linearize(
            terms, make_rows(block, references), hyperparameters, block
        )
        x = block.embeddings
        of_references = None
        if by_references:
            products = transposed_product(pair_gradients, x)
            of_references = by_one_end(y, jnp.sum(pair_gradients, axis=0), products)
        carry = jax.tree.map(jnp.add, carry, (by_hyperparameters, of_references))
        products = inner_products(pair_gradients, y.T)
        of_anchors = by_one_end(x, jnp.sum(pair_gradients, axis=1), products)
        return carry, (total, number, of_anchors)

    zeros = jax.tree.map(
        jnp.zeros_like, (hyperparameters, y if by_references else None)
    )
    sizes = split_rows(len(anchors.position), len(references.position), plan)
    (by_hyperparameters, of_references), (total, number, of_anchors) = scan_blocks(
        add, pvary_like(anchors, zeros), anchors, **sizes
    )
    return Sums(
        jnp.sum(total),
        jnp.sum(number),
        by_hyperparameters,
        of_anchors,
        of_references,
    )
