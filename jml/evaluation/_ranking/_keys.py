"""Squared distances as integers of the same order, tile by tile.

A key is the bit pattern of a float, changed so that integers compare as the floats do.
Comparing integers is exact on every device; processors differ in how they compare the
smallest floats.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int


def partial_squares(
    products: Float[Array, "t s"], offsets: Float[Array | np.ndarray, " s"]
) -> Float[Array, "t s"]:
    """Squared distances without `base`, the term of the query alone; see ``Products``.

    The missing term is the same for all items, so that each row keeps its order.
    """
    squares = offsets[None] - 2 * products
    return jnp.where(squares == 0, 0, squares)  # -0 and 0 are one distance


def keys(squares: Float[Array | np.ndarray, "t s"]) -> Int[Array, "t s"]:
    """Integers in the order of these floats."""
    integer = key_dtype(squares.dtype)
    bits = jax.lax.bitcast_convert_type(squares, integer)
    return jnp.where(bits < 0, bits ^ jnp.iinfo(integer).max, bits)


def key_dtype(dtype: jnp.dtype) -> jnp.dtype:
    """The integers as wide as these floats."""
    return jnp.dtype(jnp.int64 if dtype == jnp.float64 else jnp.int32)


def squares_of_keys(keys: Int[np.ndarray, "*k"]) -> Float[np.ndarray, "*k"]:
    """The floats that ``keys`` turned into these integers."""
    return _flipped(keys).view(np.dtype(f"f{keys.dtype.itemsize}"))


def keys_up_to(
    squares: Float[np.ndarray, "*k"], integer: np.dtype
) -> Int[np.ndarray, "*k"]:
    """The keys of float64 numbers, rounded up to floats as wide as these integers."""
    dtype = np.dtype(f"f{integer.itemsize}")
    rounded = np.nextafter(squares.astype(dtype), dtype.type(np.inf), dtype=dtype)
    return _flipped(np.where(rounded == 0, 0, rounded).astype(dtype).view(integer))


def ordered_bits(squares: Float[np.ndarray, "*k"]) -> Int[np.ndarray, "*k"]:
    """``keys`` on the host."""
    return _flipped(squares.view(np.dtype(f"i{squares.dtype.itemsize}")))


def _flipped(bits: Int[np.ndarray, "*k"]) -> Int[np.ndarray, "*k"]:
    """Turns bits of floats into integers of their order, and back."""
    return np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)
