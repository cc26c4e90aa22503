"""The arrays of a training state by name, and what tells whether they are the same."""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jml.errors import UserError
from jml.training._step import TrainState


def arrays_of(state: TrainState) -> dict[str, Any]:
    """The arrays of a state by name, in the order of its leaves."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    # The number keeps the order and tells apart what is named alike.
    return {
        f"{number:05}.{jax.tree_util.keystr(path, simple=True, separator='.')}": leaf
        for number, (path, leaf) in enumerate(leaves)
    }


def checksum(about: Mapping[str, Any]) -> int:
    """Of what JSON can hold."""
    return zlib.crc32(json.dumps(about, sort_keys=True).encode())


def describe(array: Any) -> list[Any]:
    """Shape, dtype and checksum."""
    here = array.addressable_data(0) if isinstance(array, jax.Array) else array
    content = np.ascontiguousarray(here).view(np.uint8)
    return [*_kind(array), zlib.crc32(content)]


def _kind(array: Any) -> list[Any]:
    return [list(array.shape), str(array.dtype)]


def check_same_arrays(
    wanted: Mapping[str, Any], saved: Mapping[str, list[Any]], where: str
) -> None:
    """Raises a UserError where names, shapes or dtypes differ from what was saved."""
    for name in sorted(wanted.keys() | saved.keys()):
        here = name in wanted and _kind(wanted[name])
        there = name in saved and saved[name][:2]
        if here != there:
            raise UserError(
                f"--resume: {where!r} is of another network: {name} is"
                f" {there or 'missing'} there and {here or 'missing'} here."
            )
