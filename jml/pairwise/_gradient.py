"""From sums over rows to a loss that JAX can differentiate."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Integer

from ._blocks import Plan
from ._devices import local_gradient, on_auto_axes, psum, pvary_like
from ._memory import Memory
from ._pair_gradients import Hyperparameters
from ._references import Pairs, make_pairs
from ._sums import Sums


def mean_loss(
    sums: Callable[[Pairs, Hyperparameters, Plan], Sums],
    x: Float[Array, "n d"],
    labels: Integer[Array, " n"],
    valid: Bool[Array, " n"],
    hyperparameters: Hyperparameters,
    *,
    plan: Plan,
    memory: Memory | None = None,
) -> Float[Array, ""]:
    """A total over its number of terms, 0 without any, that JAX can differentiate.

    `sums` makes the gradient together with the value. So the loss brings its own rule
    of differentiation, which multiplies that gradient by the tangents. The rule is
    linear in the tangents, so JAX transposes it for reverse mode.
    """

    @jax.custom_jvp
    def loss(x, hyperparameters, data):
        return value_and_gradient(x, hyperparameters, data)[0]

    def value_and_gradient(x, hyperparameters, data):
        labels, valid, memory = data
        pairs = make_pairs(x, labels, valid, memory, plan.axis_name)
        local = sums(pairs, pvary_like(pairs.anchors, hyperparameters), plan)
        total, number, by_hyperparameters = psum(
            (local.total, local.number, local.by_hyperparameters), plan.axis_name
        )
        by_x = local.by_anchors
        if local.by_references is not None:
            by_x += local_gradient(local.by_references, len(x), plan.axis_name)
        scale = jnp.where(number > 0, 1 / jnp.where(number > 0, number, 1), 0)
        gradients = jax.tree.map(lambda g: scale * g, (by_x, by_hyperparameters))
        # A NaN fails comparisons, so perhaps no term is counted; the loss is NaN
        # nevertheless.
        value = jnp.where(jnp.isnan(total), total, total * scale)
        return value, gradients

    @partial(loss.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        value, (by_x, by_hyperparameters) = value_and_gradient(*primals)
        slope = jnp.zeros_like(value)
        if not isinstance(tangents[0], SymbolicZero):
            slope += psum(jnp.sum(by_x * tangents[0]), plan.axis_name)
        for gradient, tangent in zip(
            *map(jax.tree.leaves, (by_hyperparameters, tangents[1])), strict=True
        ):
            if not isinstance(tangent, SymbolicZero):
                slope += jnp.sum(gradient * tangent)
        return value, slope

    return on_auto_axes(loss, x, hyperparameters, (labels, valid, memory))
