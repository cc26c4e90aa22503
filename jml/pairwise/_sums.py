"""Sums over the rows of the pair matrix and their gradients, in blocks of rows.

The *pair gradients* are the gradient of the total T of all terms by each squared
distance or each product, ``G = dT/dS``. The gradient by the embeddings is two products
with them: for squared distances and for inner products

    dT/dx_i = 2 sum_j (G_ij + G_ji) (x_i - x_j),   dT/dx_i = sum_j (G_ij + G_ji) x_j.

A block of rows has all of that at hand while it is summed. So value and gradient are
made together, and no matrix is kept between a forward and a backward pass. `_gradient`
divides both by the number of terms.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jml._gram_distances import inner_products

from ._blocks import Plan, scan_blocks, split_rows
from ._devices import gather, pvary_like
from ._pair_gradients import (
    Hyperparameters,
    Terms,
    by_one_end,
    linearize,
    transposed_product,
)
from ._references import Pairs, Side
from ._rows import Rows, make_rows, masked_logsumexp

T = TypeVar("T")


class Sums(NamedTuple):
    """The total and the number of terms of some rows, and the total's gradients."""

    total: Float[Array, "*k"]  # of all terms, or of those of each part
    number: Float[Array, "*k"]  # of terms: what the total is divided by
    by_hyperparameters: Hyperparameters
    by_anchors: Float[Array, "b d"]  # through the row of each
    by_references: Float[Array, "n d"] | None = None  # through the column of each


def add_sums(one: Sums, other: Sums) -> Sums:
    """Two sums as one."""
    return jax.tree.map(jnp.add, one, other)


def mined_rows(anchors: Side, references: Side, plan: Plan) -> Rows:
    """The rows of some anchors, with the pairs that the plan's miner keeps."""
    rows = make_rows(anchors, references, plan.measure)
    if plan.miner is None:
        return rows
    kept = jax.lax.stop_gradient(plan.miner(jax.lax.stop_gradient(rows)))
    return replace(kept, values=rows.values)


def map_rows(
    function: Callable[[Rows], T],
    anchors: Side,
    references: Side,
    plan: Plan,
) -> T:
    """Applies a function of rows that returns arrays with one entry for each anchor.

    JAX can differentiate it. The rows are made anew for that, not kept.
    """

    @jax.checkpoint
    def of_block(_, block: Side):
        return None, function(mined_rows(block, references, plan))

    sizes = split_rows(len(anchors.position), len(references.position), plan)
    return scan_blocks(of_block, None, anchors, **sizes)[1]


def column_log_sums(
    scores: Callable[[Rows], tuple[Float[Array, "b n"], Bool[Array, "b n"]]],
    anchors: Side,
    references: Side,
    plan: Plan,
) -> Float[Array, " n"]:
    """For each reference, ``log sum exp`` of scores over the anchors of all devices.

    Args:
        scores: of rows: a score of each pair, and which of them are in the sums.
        anchors: the anchors of this device.
        references: what the result has an entry for: -inf where the sum has none.
        plan: how rows are made.
    """

    @jax.checkpoint
    def add(log_sums: Float[Array, " n"], block: Side):
        values, mask = scores(mined_rows(block, references, plan))
        more = masked_logsumexp(values.T, mask.T)
        either = jnp.maximum(log_sums, more) != -jnp.inf
        safe = (jnp.where(either, array, 0) for array in (log_sums, more))
        return jnp.where(either, jnp.logaddexp(*safe), -jnp.inf), None

    nothing = jnp.full(len(references.position), -jnp.inf, references.embeddings.dtype)
    sizes = split_rows(len(anchors.position), len(references.position), plan)
    local, _ = scan_blocks(add, pvary_like(anchors, nothing), anchors, **sizes)
    if plan.axis_name is None:
        return local
    by_device = gather(local[None], plan.axis_name).T
    return masked_logsumexp(by_device, by_device != -jnp.inf)


def sum_rows(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """Sums over all rows what `terms` gives for each anchor.

    Args:
        terms: ``terms(rows, **hyperparameters)``, differentiable in the squared
            distances or products and the hyperparameters. It returns a total and a
            count of terms for each anchor.
        pairs: the matrix.
        hyperparameters: by name.
        plan: how many rows at once.
    """
    return sum_blocks(
        terms,
        pairs.anchors,
        pairs.references,
        hyperparameters,
        plan,
        both_sides=True,
    )


def sum_blocks(
    terms: Terms,
    anchors: Side,
    references: Side,
    hyperparameters: Hyperparameters,
    plan: Plan,
    *,
    both_sides: bool,
) -> Sums:
    """Sums over rows, with the gradient by the references if `both_sides`."""
    y = references.embeddings

    def add(carry, block: Side):
        total, number, pair_gradients, by_hyperparameters = linearize(
            terms, mined_rows(block, references, plan), hyperparameters, block
        )
        x = block.embeddings
        by_references = None
        if both_sides:
            products = transposed_product(pair_gradients, x)
            by_references = by_one_end(y, pair_gradients, 0, products, plan.measure)
        carry = jax.tree.map(jnp.add, carry, (by_hyperparameters, by_references))
        products = inner_products(pair_gradients, y.T)
        by_anchors = by_one_end(x, pair_gradients, 1, products, plan.measure)
        return carry, (total, number, by_anchors)

    zeros = jax.tree.map(jnp.zeros_like, (hyperparameters, y if both_sides else None))
    sizes = split_rows(len(anchors.position), len(references.position), plan)
    (by_hyperparameters, by_references), (total, number, by_anchors) = scan_blocks(
        add, pvary_like(anchors, zeros), anchors, **sizes
    )
    return Sums(
        jnp.sum(total, axis=0),
        jnp.sum(number, axis=0),
        by_hyperparameters,
        by_anchors,
        by_references,
    )
