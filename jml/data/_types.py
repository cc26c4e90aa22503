"""What a data set is."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, UInt8


class Split(NamedTuple):
    """Square RGB pictures and the class of each."""

    images: UInt8[np.ndarray, "n s s 3"]
    labels: Int32[np.ndarray, " n"]


class Dataset(NamedTuple):
    """Training and test pictures of disjoint classes; labels index `class_names`."""

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
