"""Lengths of rows, which the cosine divides by."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

CHUNK = 2**22  # numbers in float64 that exist at once


def lengths(
    rows: Float[np.ndarray, "n d"],
) -> tuple[Int[np.ndarray, "n 1"], Float[np.ndarray, "n 1"]]:
    """The scale of each row, as an exponent of 2, and its length divided by it."""
    exponents = np.frexp(np.abs(rows).max(axis=1, keepdims=True))[1]
    squares = [np.empty(0)]
    for at in slices(*rows.shape):
        scaled = np.ldexp(rows[at].astype(np.float64), -exponents[at])
        squares.append(np.einsum("ij,ij->i", scaled, scaled))
    return exponents, np.sqrt(np.concatenate(squares))[:, None]


def slices(count: int, width: int) -> Iterator[slice]:
    """Cuts rows of this width into chunks of about `CHUNK` numbers."""
    step = max(1, CHUNK // width)
    yield from (slice(at, at + step) for at in range(0, count, step))
