"""Distances as integers of the same order, one tile of the matrix at a time."""

import jax
import jax.numpy as jnp
import numpy as np
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
    """Numbers that order each row as its distances do, see ``Products``."""
    order = offsets[None] - 2 * products
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


def order_of(keys: Int[np.ndarray, " *k"]) -> Float[np.ndarray, " *k"]:
    """The numbers that ``keys`` made integers of."""
    return _flipped(keys).view(np.dtype(f"f{keys.dtype.itemsize}"))


def keys_up_to(
    order: Float[np.ndarray, " *k"], integer: np.dtype
) -> Int[np.ndarray, " *k"]:
    """The keys of float64 numbers, rounded up to floats as wide as these integers."""
    dtype = np.dtype(f"f{integer.itemsize}")
    rounded = np.nextafter(order.astype(dtype), dtype.type(np.inf), dtype=dtype)
    return _flipped(np.where(rounded == 0, 0, rounded).astype(dtype).view(integer))


def _flipped(bits: Int[np.ndarray, " *k"]) -> Int[np.ndarray, " *k"]:
    """From the bits of floats to integers of their order, and back."""
    return np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)
