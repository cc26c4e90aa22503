"""What a checkpoint holds.

It is a folder, named after its step, with two parts:

- ``state``: the arrays of the `TrainState` by name, as "00003.params.model.fc.weight";
- ``about``: JSON with "format"; "arrays", the shape, dtype and CRC-32 of each array;
  "recall@1", if the state was evaluated; what the caller adds (for the command its
  configuration, and a fingerprint of the labels); and "checksum", the CRC-32 of all
  this.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jml._names import quoted
from jml.errors import UserError
from jml.training._step import TrainState

FORMAT = "jml training state 1"
BEST = "recall@1"


def arrays_by_name(state: TrainState) -> dict[str, Any]:
    """Returns the arrays of a state by name, in the order of its leaves.

    A name is a number and a path. The number keeps the order, and tells apart leaves
    whose paths read alike.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(state)
    return {
        f"{number:05}.{jax.tree_util.keystr(path, simple=True, separator='.')}": leaf
        for number, (path, leaf) in enumerate(leaves)
    }


def make_about(
    arrays: Mapping[str, Any],
    extra: Mapping[str, Any],
    scores: Mapping[str, float] | None,
) -> dict[str, Any]:
    """Returns the part ``about`` of a checkpoint of these arrays."""
    about: dict[str, Any] = {
        "format": FORMAT,
        "arrays": {name: describe(array) for name, array in arrays.items()},
        **extra,
    }
    if scores is not None and BEST in scores:
        about[BEST] = float(scores[BEST])
    return {**about, "checksum": _checksum(about)}


def check_about(about: Any) -> dict[str, Any]:
    """Returns ``about`` without its checksum; {} if it is in another format.

    Raises:
        ValueError: it is not what was saved.
    """
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        return {}
    if about.pop("checksum") != _checksum(about):
        raise ValueError("its description is not what was saved")
    return about


def _checksum(about: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(about, sort_keys=True).encode())


def describe(array: Any) -> list[Any]:
    """Returns shape, dtype and the CRC-32 of an array's bytes."""
    checksum = 0
    for part in _parts(array):
        content = np.ascontiguousarray(part).view(np.uint8)
        checksum = zlib.crc32(content.data, checksum)
    return [*_shape_and_dtype(array), checksum]


def _parts(array: Any) -> list[Any]:
    """The array, or its rows on one device after the other: the same bytes."""
    if not isinstance(array, jax.Array):
        return [array]
    shards = array.addressable_shards
    if array.is_fully_replicated:
        return [shards[0].data]
    first = [shard for shard in shards if shard.replica_id == 0]
    whole = [slice(None)] * (array.ndim - 1)
    if not array.is_fully_addressable or any(list(s.index[1:]) != whole for s in first):
        return [array]
    return [s.data for s in sorted(first, key=lambda s: s.index[0].start or 0)]


def _shape_and_dtype(array: Any) -> list[Any]:
    return [list(array.shape), str(array.dtype)]


def check_unchanged(arrays: Mapping[str, Any], saved: Mapping[str, list[Any]]) -> None:
    """Raises a ValueError unless each array is what `describe` gave of it before."""
    for name, array in arrays.items():
        if describe(array) != saved[name]:
            raise ValueError(f"{name} is not what was saved")


def check_same_arrays(
    wanted: Mapping[str, Any], saved: Mapping[str, list[Any]], path: str
) -> None:
    """Checks that a checkpoint has the arrays of a state.

    Args:
        wanted: arrays of the state by name.
        saved: what `describe` gave of the arrays in the checkpoint, by name.
        path: of the checkpoint, for the error.

    Raises:
        UserError: a name, shape or dtype differs.
    """
    for name in sorted(wanted.keys() | saved.keys()):
        here = name in wanted and _shape_and_dtype(wanted[name])
        there = name in saved and saved[name][:2]
        if here != there:
            raise UserError(
                f"`state`: {quoted(path)} is of another network: {name} is"
                f" {there or 'missing'} there and {here or 'missing'} here."
            )
