"""Lengths of rows, which the cosine divides by, and the largest of all numbers."""

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

from jml._blocks_of_rows import slices

CHUNK = 2**22  # numbers in float64 that exist at once


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


def largest_number(rows: Float[np.ndarray, "n d"]) -> float:
    """The largest number without its sign; 0 where there is none."""
    blocks = (rows[at] for at in slices(*rows.shape))
    return max((float(max(b.max(), -b.min())) for b in blocks), default=0.0)
