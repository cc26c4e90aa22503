"""Labels: integers of any size."""

import numpy as np
from jaxtyping import Int


def concatenate_labels(*parts: Int[np.ndarray, " _"]) -> Int[np.ndarray, " n"]:
    """Labels one after another, as the integers they are.

    NumPy alone makes floats of int64 and uint64 together, and large labels equal.
    """
    if np.result_type(*parts).kind == "f":
        parts = tuple(part.astype(object) for part in parts)
    return np.concatenate(parts)
