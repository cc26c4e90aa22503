"""Losses that are a function of sums over the whole pair matrix, not of single rows."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from ._blocks import Plan, scan_blocks, split_rows
from ._devices import psum, pvary_like
from ._pair_gradients import Hyperparameters
from ._references import Pairs, Side
from ._rows import Rows
from ._sums import Sums, mined_rows, sum_rows

Statistics = Callable[[Rows, Hyperparameters], PyTree[Float[Array, "*s"]]]
Outer = Callable[[PyTree[Float[Array, "*s"]], Hyperparameters], Float[Array, ""]]


def sum_through(
    statistics: Statistics,
    outer: Outer,
    pairs: Pairs,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Sums:
    """The value of ``outer(sum over all rows of statistics)``, and its gradient.

    The gradient needs the slopes of `outer` by each sum first. So the rows are made
    twice: for the sums, and for their gradient along these slopes.

    Args:
        statistics: ``statistics(rows, hyperparameters)``, a tree of sums over the
            anchors of these rows, differentiable as the formula of a loss is.
        outer: ``outer(sums, hyperparameters)``, a scalar.
        pairs: the matrix.
        hyperparameters: by name.
        plan: how rows are made and summed.
    """
    sums = _add_up(statistics, pairs, hyperparameters, plan)
    value, back = jax.vjp(outer, sums, hyperparameters)
    slopes, by_hyperparameters = back(pvary_like(pairs.anchors, jnp.ones_like(value)))

    def terms(rows: Rows, **hyperparameters: Any):
        found = statistics(rows, hyperparameters)
        along = jax.tree.map(jnp.vdot, found, slopes)
        total = reduce(jnp.add, jax.tree.leaves(along))
        zeros = jnp.zeros_like(rows.values[:, 0])
        return zeros + total / len(zeros), zeros  # an equal part for each anchor

    inner = sum_rows(terms, pairs, hyperparameters, plan)
    share = share_of_one(pairs, plan)
    by_hyperparameters = jax.tree.map(
        lambda one, other: one + share * other,
        inner.by_hyperparameters,
        by_hyperparameters,
    )
    return inner._replace(
        total=share * value, number=share, by_hyperparameters=by_hyperparameters
    )


def _add_up(
    statistics: Statistics, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> PyTree[Float[Array, "*s"]]:
    """The sums over the anchors of all devices."""

    def of_block(block: Side):
        return statistics(mined_rows(block, pairs.references, plan), hyperparameters)

    def add(sums, block: Side):
        return jax.tree.map(jnp.add, sums, of_block(block)), None

    shapes = jax.eval_shape(of_block, pairs.anchors)
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    anchors, references = pairs.anchors, pairs.references
    sizes = split_rows(len(anchors.position), len(references.position), plan)
    sums, _ = scan_blocks(add, pvary_like(anchors, zeros), anchors, **sizes)
    return pvary_like(anchors, psum(sums, plan.axis_name))


def share_of_one(pairs: Pairs, plan: Plan) -> Float[Array, ""]:
    """This device's part of 1: all of it on the first, 0 on the others."""
    one = jnp.ones((), pairs.anchors.embeddings.dtype)
    if plan.axis_name is None:
        return one
    return jnp.where(jax.lax.axis_index(plan.axis_name) == 0, one, 0)
