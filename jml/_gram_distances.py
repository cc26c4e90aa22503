"""Squared distances from inner products, with identical rows at exactly 0.

A row's squared norm and checksum are made once, however often the row meets others:
`row_facts`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt

from ._numerics import widen


class RowFacts(NamedTuple):
    """What distances need to know of each row beside its products with others."""

    squared_norms: Float[Array, " n"]
    checksums: UInt[Array, " n"]


def row_facts(x: Float[Array, "n d"]) -> RowFacts:
    """The squared norm and the checksum of every row."""
    return RowFacts(squared_norms(x), checksums(x))


def squared_norms(x: Float[Array, "n d"]) -> Float[Array, " n"]:
    """``|x_i|^2`` of every row."""
    x = widen(jnp.asarray(x))
    return jnp.sum(x * x, axis=1)


def checksums(x: Float[Array, "n d"]) -> UInt[Array, " n"]:
    """A number for each row: identical rows share it, and others hardly ever do."""
    wide = widen(x)
    positive_zeros = jnp.where(wide == 0, 0, wide)
    bits = jax.lax.bitcast_convert_type(positive_zeros, jnp.uint32)
    bits = bits.reshape(len(x), x.shape[1] * wide.dtype.itemsize // 4)
    # Odd factors lose no bit of an entry. Rounded numbers end in zero bits, and the
    # last bits of a product depend on last bits alone: so high bits are added to low.
    factors = np.random.default_rng(0).integers(2**31, size=bits.shape[1]) * 2 + 1
    mixed = (bits ^ (bits >> 16)) * factors.astype(np.uint32)[None, :]
    return jnp.sum(mixed, axis=1, dtype=jnp.uint32)


def inner_products(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> Array:
    """``x_i . y_j`` for all pairs of rows, in full precision."""
    x, y = widen(jnp.asarray(x)), widen(jnp.asarray(y))
    return jnp.matmul(x, y.T, precision=jax.lax.Precision.HIGHEST)


def squared_from_products(
    products: Float[Array, "n m"],
    x_facts: RowFacts,
    y_facts: RowFacts,
    dim: int,
    *,
    overflow: bool,
) -> Float[Array, "n m"]:
    """``max(0, |x_i|^2 - 2 x_i . y_j + |y_j|^2)``, and 0 for identical rows.

    Args:
        products: ``x_i . y_j``.
        x_facts: of the rows x.
        y_facts: of the rows y.
        dim: the length of a row.
        overflow: whether squared norms may be infinite. Rows from `as_compute` have
            finite ones, which saves a pass over the matrix.
    """
    x_norms, x_sums = (fact[:, None] for fact in x_facts)
    y_norms, y_sums = (fact[None, :] for fact in y_facts)
    squared = x_norms + y_norms - 2 * products  # in this order symmetric to the bit
    # Two rows that share a checksum by chance are hardly ever close to each other, too.
    noise = 2 * dim**0.5 * float(jnp.finfo(products.dtype).eps)
    near = squared <= noise * x_norms
    if overflow:  # instead of infinity - infinity
        beyond = jnp.isinf(x_norms + y_norms)
        squared, near = jnp.where(beyond, jnp.inf, squared), near | beyond
    identical = (x_sums == y_sums) & near
    return jnp.where((squared < 0) | identical, 0, squared)
