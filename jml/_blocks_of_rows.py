"""Rows of a large array, block by block, so that each block stays in a cache."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

CACHED = 2**17  # numbers that a core's cache holds


def slices(count: int, width: int) -> Iterator[slice]:
    """Cuts rows of this width into blocks of about `CACHED` numbers."""
    step = max(1, CACHED // max(1, width))
    yield from (slice(at, at + step) for at in range(0, count, step))


def rows_not_finite(rows: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " k"]:
    """Which rows hold NaN or infinity."""
    found = [np.empty(0, np.intp)]
    for at in slices(*rows.shape):
        finite = np.isfinite(rows[at])
        if not finite.all():
            found.append(at.start + np.flatnonzero(~finite.all(axis=1)))
    return np.concatenate(found)
