"""What a loss of class weights depends on, and a rule of differentiation for JAX."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Integer

from jml.pairwise import psum

from ._cut import Cut, choose_cut
from ._spread import Spread, first_class, gather_items
from ._tile import Items
from ._two_passes import Classes


class Inputs(NamedTuple):
    """What a loss is differentiated by."""

    embeddings: Float[Array, "b d"]
    weights: Float[Array, "c *k d"]
    scalars: dict[str, Float[Array, ""]]
    each: dict[str, Float[Array, " b"]]  # numbers that each item has its own of


class Data(NamedTuple):
    """What else it depends on."""

    labels: Integer[Array, " b"]
    valid: Bool[Array, " b"]
    classes: Integer[Array, " c"] | None


class Setting(NamedTuple):
    """How a loss is computed."""

    spread: Spread = Spread()
    block_size: int | None = None  # classes at a time; None: chosen by the sizes


def names_of_classes(
    inputs: Inputs, data: Data, spread: Spread
) -> Integer[Array, " c"]:
    """The label that each row of this device's weights stands for."""
    if data.classes is not None:
        return data.classes
    number = len(inputs.weights)
    return first_class(number, spread) + jnp.arange(number)


def sides_of(
    inputs: Inputs, data: Data, setting: Setting
) -> tuple[Items, Classes, Cut]:
    """The items that this device computes, its classes, and how they are cut."""
    x, labels, valid = gather_items(
        (inputs.embeddings, data.labels, data.valid), setting.spread
    )
    weights, names = inputs.weights, names_of_classes(inputs, data, setting.spread)
    dtype = jnp.promote_types(labels.dtype, names.dtype)  # holds every class
    items = Items(x, labels.astype(dtype), valid)
    classes = Classes(weights, names.astype(dtype))
    centers = weights.shape[1] if weights.ndim == 3 else 1
    return (
        items,
        classes,
        choose_cut(len(weights), len(x), centers, x.shape[1], setting.block_size),
    )


def with_gradient(
    value_and_gradient: Callable[[Inputs, Data], tuple[Float[Array, ""], Inputs]],
    inputs: Inputs,
    data: Data,
    spread: Spread,
) -> Float[Array, ""]:
    """A value that is made together with its gradient, for JAX to differentiate.

    The rule of differentiation multiplies that gradient by the tangents. It is linear
    in them, so JAX transposes it.
    """
    batch, classes = (axes or None for axes in spread)
    # JAX traces both the loss and its rule: the second finds what the first has traced.
    value_and_gradient = jax.jit(value_and_gradient, inline=True)

    @jax.custom_jvp
    def loss(inputs, data):
        return value_and_gradient(inputs, data)[0]

    @partial(loss.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        value, gradient = value_and_gradient(*primals)
        slope = jnp.zeros_like(value)
        # Of each input, the axes over which it is spread.
        axes = batch, classes, None, batch
        for by, tangent, axis in zip(gradient, tangents[0], axes, strict=True):
            for g, t in zip(jax.tree.leaves(by), jax.tree.leaves(tangent), strict=True):
                if not isinstance(t, SymbolicZero):
                    slope += psum(jnp.sum(g * t), axis).astype(slope.dtype)
        return value, slope

    return loss(inputs, data)
