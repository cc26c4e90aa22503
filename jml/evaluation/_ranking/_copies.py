"""Rows that equal others, found by numbers that stand for rows."""

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

NUMBERS = 2**17  # that exist at once


def first_copies(rows: Float[np.ndarray, "m d"]) -> Int[np.ndarray, " m"]:
    """For each row the first row that equals it."""
    word = np.dtype(f"u{rows.dtype.itemsize}")
    rng = np.random.default_rng(0)
    factors = rng.integers(2**63, size=rows.shape[1], dtype=np.uint64) * 2 + 1
    sums = np.empty(len(rows), np.uint64)
    step = max(1, NUMBERS // rows.shape[1])
    parts = [slice(at, at + step) for at in range(0, len(rows), step)]
    for at in parts:
        bits = np.ascontiguousarray(rows[at] + 0).view(word)  # -0 and 0 are equal
        sums[at] = (bits * factors).sum(axis=1, dtype=np.uint64)
    _, first, inverse = np.unique(sums, return_index=True, return_inverse=True)
    first = first[inverse]
    for at in parts:  # other rows may share a sum: such a row stands for itself
        other = ~(rows[first[at]] == rows[at]).all(axis=1)
        first[at][other] = np.arange(len(rows))[at][other]
    return first


def copies_before(first: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    """How many of the rows before each row equal it, from its ``first_copies``."""
    order = np.argsort(first, kind="stable")
    starts = np.searchsorted(first[order], first[order])
    before = np.empty(len(first), np.int64)
    before[order] = np.arange(len(first)) - starts
    return before
