"""Sums over the rows of the pair matrix and their gradients, in blocks of rows.

The gradient of a sum of distances needs the weight of each distance and two products
with the embeddings, all of which a block of rows has at hand while it is summed:

    dL/dx_i = 2 sum_j (W_ij + W_ji) (x_i - x_j),   W = dL/dS.

So value and gradient are made together, and no matrix is kept between them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jml.distances import inner_products

from ._blocks import Plan, on_cpu, scan_blocks
from ._rows import Items, Pairs, Rows, make_rows, vary_like

T = TypeVar("T")
Numbers = Any  # a tree of float arrays
Terms = Callable[[Rows, Numbers], tuple[Float[Array, " b"], Float[Array, " b"]]]


class Sums(NamedTuple):
    """A sum over rows of totals and counts, and the gradient of the total."""

    total: Float[Array, ""]
    count: Float[Array, ""]
    numbers: Numbers  # the gradient by each
    anchors: Float[Array, "b d"]
    items: Float[Array, "n d"] | None = None  # None: all is in the anchors' part


def add_sums(one: Sums, other: Sums) -> Sums:
    """Two sums as one."""
    return jax.tree.map(jnp.add, one, other)


def map_rows(
    function: Callable[[Rows], T], anchors: Items, items: Items, plan: Plan
) -> T:
    """Applies a function of rows that returns arrays with an entry for each anchor."""

    def of_block(_, block: Items):
        return None, function(make_rows(block, items))

    return scan_blocks(of_block, None, anchors, **plan.blocks(anchors, items))[1]


def sum_rows(terms: Terms, pairs: Pairs, numbers: Numbers, plan: Plan) -> Sums:
    """Sums over all rows what `terms` gives for each anchor: a total and a count.

    Args:
        terms: a function of `Rows` and `numbers`, differentiable in both.
        pairs: the matrix.
        numbers: what else the terms depend on.
        plan: how many rows at once.
    """
    return _sum_blocks(terms, pairs.anchors, pairs.items, numbers, plan, both_ends=True)


def sum_pairs(terms: Terms, pairs: Pairs, numbers: Numbers, plan: Plan) -> Sums:
    """Sums over unordered pairs a term that is the same from both ends.

    `terms` gives the sums over rows. A pair within the batch stands in two rows, so
    that half of each is added, and its row alone holds all that pulls at an anchor.
    """
    return from_both_ends(sum_one_end, terms, pairs, numbers, plan)


def run_if(
    condition: Bool[Array, ""], function: Callable[[Array], T], x: Array, otherwise: T
) -> T:
    """``function(x) if condition else otherwise``, on all cores of a CPU.

    XLA runs the branches of `jax.lax.cond` on one core, but not the body of a loop,
    here of one turn or none. The turn's number, 0, keeps it from being run beforehand.
    """
    return jax.lax.fori_loop(
        0,
        condition.astype(jnp.int32),
        lambda turn, _: function(x + turn.astype(x.dtype)),
        otherwise,
    )


def from_both_ends(add_up, terms, pairs: Pairs, numbers, plan: Plan) -> Sums:
    """Half of what the batch adds up to, and all of what the memory does."""
    total, count, by_numbers, by_anchors, _ = add_up(
        terms, pairs.anchors, pairs.batch, numbers, plan
    )
    half = jax.tree.map(lambda a: a / 2, (total, count, by_numbers))
    sums = Sums(*half, by_anchors)
    if pairs.memory is not None:
        more = add_up(terms, pairs.anchors, pairs.memory, numbers, plan)
        sums = add_sums(sums, more)
    return sums


def sum_one_end(terms, anchors: Items, items: Items, numbers, plan: Plan) -> Sums:
    """Sums over rows, with the gradient by the anchors alone."""
    return _sum_blocks(terms, anchors, items, numbers, plan, both_ends=False)


def _sum_blocks(
    terms, anchors: Items, items: Items, numbers, plan: Plan, *, both_ends: bool
) -> Sums:
    y = items.embeddings

    def add(carry, block: Items):
        total, count, weights, by_numbers = linearize(
            terms, make_rows(block, items), numbers, block
        )
        x = block.embeddings
        by_items = None
        if both_ends:
            products = transposed_product(weights, x)
            by_items = _pull(y, jnp.sum(weights, axis=0), products)
        carry = jax.tree.map(jnp.add, carry, (by_numbers, by_items))
        by_anchors = _pull(x, jnp.sum(weights, axis=1), inner_products(weights, y.T))
        return carry, (total, count, by_anchors)

    zeros = jax.tree.map(jnp.zeros_like, (numbers, y if both_ends else None))
    (by_numbers, by_items), (total, count, by_anchors) = scan_blocks(
        add, vary_like(anchors, zeros), anchors, **plan.blocks(anchors, items)
    )
    return Sums(jnp.sum(total), jnp.sum(count), by_numbers, by_anchors, by_items)


def linearize(terms: Terms, rows: Rows, numbers: Numbers, anchors: Items):
    """Each row's total and count, and the gradient of the sum of the totals."""
    total, back, count = jax.vjp(
        lambda squared, numbers: terms(rows._replace(squared=squared), numbers),
        rows.squared,
        numbers,
        has_aux=True,
    )
    weights, by_numbers = back(vary_like(anchors, jnp.ones_like(total)))
    weights = jnp.where(rows.squared > 0, weights, 0)  # else there is no direction
    return total, count, weights, by_numbers


def transposed_product(weights: Float[Array, "b n"], x: Float[Array, "b d"]) -> Array:
    """``weights.T @ x``.

    XLA's CPU multiplies a transposed matrix at half the speed. There the embeddings,
    which are smaller, are transposed instead; the barriers keep XLA from undoing that.
    """
    if not on_cpu():
        return inner_products(weights.T, x.T)
    barrier = jax.lax.optimization_barrier
    return barrier(inner_products(barrier(x.T), weights.T)).T


def _pull(x: Float[Array, "n d"], sums: Float[Array, " n"], products: Array) -> Array:
    """The gradient by x of the weighted sum of squared distances to others.

    Args:
        x: the embeddings at one end.
        sums: of the weights of each.
        products: of the weights with the embeddings at the other end.
    """
    return 2 * (sums[:, None] * x - products)
