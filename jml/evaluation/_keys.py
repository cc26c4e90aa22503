"""Distances as integers of the same order, one tile of the matrix at a time."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def inner_products(x: Float[Array, "t d"], y: Float[Array, "s d"]) -> Array:
    """``x_i . y_j`` in full precision.

    Where all tiles are of one shape, an entry is added up in the same order wherever
    it stands, and equal rows give equal numbers.
    """
    return jnp.matmul(x, y.T, precision=jax.lax.Precision.HIGHEST)


def distances(
    products: Float[Array, "t s"], offsets: Float[Array, " s"]
) -> Float[Array, "t s"]:
    """Numbers that order each row as its distances do, see ``comparable``."""
    order = offsets - 2 * products
    return jnp.where(order == 0, 0, order)  # -0 and 0 are one distance


def keys(ordering: Float[Array, "t s"]) -> Int[Array, "t s"]:
    """Integers of the same order.

    Comparing integers is exact on every device; processors differ in what they make of
    the smallest floats.
    """
    integer = key_dtype(ordering.dtype)
    bits = jax.lax.bitcast_convert_type(ordering, integer)
    return jnp.where(bits < 0, bits ^ jnp.iinfo(integer).max, bits)


def key_dtype(dtype: jnp.dtype) -> jnp.dtype:
    """The integers as wide as these floats."""
    return jnp.dtype(jnp.int64 if dtype == jnp.float64 else jnp.int32)
