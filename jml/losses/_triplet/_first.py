"""Minima that send their whole gradient to the first index that reaches them."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def first_minimum(
    values: Float[Array, "b n"],
) -> tuple[Int[Array, " b"], Float[Array, " b"]]:
    """Index of each row's first minimum, and the minimum; NaN, if the row has one.

    Two plain reductions of floats, which XLA vectorises, as it does not `argmin`.
    """
    minimum = jnp.min(values, axis=1)
    last = values.shape[1] - 1
    dtype = values.dtype if last < 2 / jnp.finfo(values.dtype).eps else jnp.int32
    index = jnp.arange(last + 1, dtype=dtype)[None, :]
    reached = values == minimum[:, None]
    first = jnp.min(jnp.where(reached, index, last), axis=1)
    return first.astype(jnp.int32), minimum
