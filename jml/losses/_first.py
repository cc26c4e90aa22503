"""Minima that send their whole gradient to the first index that reaches them."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def first_minimum(
    values: Float[Array, "b n"],
) -> tuple[Int[Array, " b"], Float[Array, " b"]]:
    """Index of each row's first minimum, and the minimum; a NaN is one.

    Two plain reductions, which XLA vectorises, as it does not `argmin`.
    """
    minimum = jnp.min(values, axis=1)
    index = jnp.arange(values.shape[1])[None, :]
    reached = values == minimum[:, None]
    return jnp.min(jnp.where(reached, index, index[-1, -1]), axis=1), minimum
