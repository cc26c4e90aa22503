"""The arrays of a training state by name, and what tells whether they are the same."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from .step import TrainState


def arrays_of(state: TrainState) -> dict[str, Any]:
    """The arrays of a state by name, in the order of its leaves."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    # The number keeps the order and tells apart what is named alike.
    return {
        f"{number:05}.{jax.tree_util.keystr(path, simple=True, separator='.')}": leaf
        for number, (path, leaf) in enumerate(leaves)
    }


def checksum(about: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(about, sort_keys=True).encode())


def describe(array: Any) -> list[Any]:
    """Shape, dtype and checksum."""
    if isinstance(array, jax.Array):
        array = array.addressable_data(0)
    here = np.asarray(array)
    checksum = zlib.crc32(np.ascontiguousarray(here).view(np.uint8))
    return [list(here.shape), str(here.dtype), checksum]
