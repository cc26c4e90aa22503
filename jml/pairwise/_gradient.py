"""From sums over rows to a loss that JAX can differentiate."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Int

from ._blocks import Plan
from ._devices import on_auto_axes
from ._memory import Memory
from ._rows import Pairs, make_pairs, vary_like
from ._sums import Numbers, Sums


def mean_loss(
    sums: Callable[[Pairs, Numbers, Plan], Sums],
    x: Float[Array, "n d"],
    labels: Int[Array, " n"],
    present: Bool[Array, " n"],
    numbers: Numbers,
    *,
    plan: Plan,
    memory: Memory | None = None,
) -> Float[Array, ""]:
    """A total over its count, 0 where that is 0, with its gradient made alongside."""

    @jax.custom_jvp
    def loss(x, numbers, data):
        return value_and_gradient(x, numbers, data)[0]

    def value_and_gradient(x, numbers, data):
        pairs = make_pairs(x, *data, plan.axis_name)
        found = sums(pairs, vary_like(pairs.anchors, numbers), plan)
        total, count, by_numbers = plan.sum((found.total, found.count, found.numbers))
        by_x = found.anchors
        if found.items is not None:
            by_x += plan.own_part(found.items, len(x))
        scale = jnp.where(count > 0, 1 / jnp.where(count > 0, count, 1), 0)
        gradients = jax.tree.map(lambda g: scale * g, (by_x, by_numbers))
        # A NaN may hide from the count, but is not to hide from the user.
        value = jnp.where(jnp.isnan(total), total, total * scale)
        return value, gradients

    @partial(loss.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        value, (by_x, by_numbers) = value_and_gradient(*primals)
        slope = jnp.zeros_like(value)
        if not isinstance(tangents[0], SymbolicZero):
            slope += plan.sum(jnp.sum(by_x * tangents[0]))
        for gradient, tangent in zip(
            *map(jax.tree.leaves, (by_numbers, tangents[1])), strict=True
        ):
            if not isinstance(tangent, SymbolicZero):
                slope += jnp.sum(gradient * tangent)
        return value, slope

    return on_auto_axes(loss, x, numbers, (labels, present, memory))
