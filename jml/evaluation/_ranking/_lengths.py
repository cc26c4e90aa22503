"""Lengths of rows, which the cosine divides by."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

CHUNK = 2**22  # numbers in float64 that exist at once
CACHED = 2**17  # the same where they are to stay in a processor's cache


def lengths(
    rows: Float[np.ndarray, "n d"],
) -> tuple[Int[np.ndarray, "n 1"], Float[np.ndarray, "n 1"]]:
    """The scale of each row, as an exponent of 2, and its length divided by it."""
    exponents, squares = np.empty((len(rows), 1), np.int32), [np.empty(0)]
    for at in slices(*rows.shape):
        exponents[at] = np.frexp(np.abs(rows[at]).max(axis=1, keepdims=True))[1]
        scaled = np.ldexp(rows[at].astype(np.float64), -exponents[at])
        squares.append(np.einsum("ij,ij->i", scaled, scaled))
    return exponents, np.sqrt(np.concatenate(squares))[:, None]


def slices(count: int, width: int, numbers: int | None = None) -> Iterator[slice]:
    """Cuts rows of this width into chunks of so many `numbers`, by default `CHUNK`."""
    step = max(1, (numbers or CHUNK) // width)
    yield from (slice(at, at + step) for at in range(0, count, step))
