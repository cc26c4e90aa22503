"""Matrix products of centred rows, and how exact the distances made of them are."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ._reach import relative_error

# Relative difference below which products need not order two distances, by the size
# in bytes of the products' dtype.
TOLERANCE = {4: 1e-5, 8: 1e-7}


class Products(NamedTuple):
    """Centred rows for matrix products: d² = base_i + offsets_j - 2 x_i . y_j."""

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, "m d"]  # `x` itself where the queries are the gallery
    offsets: Float[np.ndarray, " m"]
    # In float64:
    base: Float[np.ndarray, " n"]
    close: Float[np.ndarray, " n"]  # products cannot order squared distances below it
    slack: Float[np.ndarray, " n"]  # bounds the error of those squared distances


def error_bounds(
    base: Float[np.ndarray, " n"],
    largest: float,
    width: int,
    dtype: np.dtype,
    of_vectors: np.dtype,
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """`close` and `slack` of ``Products``, from the squared norms of the rows."""
    eps = np.finfo(dtype).eps
    error = relative_error(width, dtype)
    tolerance = TOLERANCE[dtype.itemsize]
    if of_vectors == dtype == np.float64:
        tolerance = TOLERANCE[4] * eps / np.finfo(np.float32).eps
    ratio = error / tolerance
    # The norm of a near item is at most the query's norm plus their distance.
    close = ratio * (base + largest)
    if ratio < 1:
        relative = ratio + np.sqrt(ratio**2 + 2 * ratio * (1 - ratio))
        close = np.minimum(close, base * (relative / (1 - ratio)) ** 2)
    # Squares of the smallest numbers underflow.
    tiny = 2 * width * float(np.finfo(dtype).tiny)
    close = close + tiny / tolerance
    return close, 2 * tolerance * close
