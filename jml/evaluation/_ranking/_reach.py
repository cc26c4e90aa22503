"""How wrong products may be, and so which items can be among the nearest."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Errors(NamedTuple):
    """Bounds of the errors of squared distances that are made of products."""

    relative: float  # to the sum of the squared norms of query and item
    absolute: float
    tie: float  # relative difference of squared distances that may count as equal


def errors_of(columns: int, products: np.dtype, vectors: np.dtype) -> Errors:
    """The bounds for so many columns, by the dtypes of the products and the vectors."""
    numbers = np.finfo(products)
    # Squares of the smallest numbers underflow.
    absolute = 2 * columns * float(numbers.tiny)
    tie = 0.0 if vectors == np.float64 else 2.0**-22
    return Errors(relative_error(columns, products), absolute, tie)


def relative_error(columns: int, products: np.dtype) -> float:
    """``Errors.relative``.

    It is about seven standard deviations of the error of a difference of two squared
    distances. `benchmarks/retrieval_precision.py` measures it.
    """
    return float(np.finfo(products).eps) * (1 + 0.3 * columns**0.5)


def reach(
    squares: Float[np.ndarray, " q"],
    base: Float[np.ndarray, " q"],
    largest: float,
    errors: Errors,
) -> Float[np.ndarray, " q"]:
    """The largest ``partial_squares`` that an item may have to be among the nearest.

    Args:
        squares: of each query such a number that k items have no larger one.
        base: squared norms of the queries.
        largest: the largest squared norm of an item.
        errors: of the `squares`.
    """
    error = errors.relative
    # The distance of an item bounds its norm, and with it the error of the distance.
    seen = np.maximum(squares + base, 0) + 3 * error * base + errors.absolute
    true = (1 + errors.tie) * seen / (1 - 2 * error)
    norms = np.minimum(largest, (np.sqrt(base) + np.sqrt(true)) ** 2)
    return true + error * (base + norms) + errors.absolute - base
