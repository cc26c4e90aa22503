"""Arrays that the processes of ``jax.distributed`` exchange.

Every process calls these functions in the same order. They exchange bytes, so that
float64 and int64 arrive whole even where JAX computes in 32 bits. With one process
there is nothing to exchange.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import UInt8

PIECE = 2**24  # bytes that each process sends at once
HEADER = 2**7  # bytes that say what an array is
FIRST = 2**10 - HEADER  # bytes of the array itself that travel with them
LONGEST = 2**10  # bytes of an error


def gather(array: np.ndarray) -> list[np.ndarray]:
    """What each process passes, in their order; lengths and dtypes may differ."""
    if jax.process_count() == 1:
        return [array]
    header, sent = json.dumps([array.dtype.str, array.shape]).encode(), array.tobytes()
    first = header.ljust(HEADER) + sent[:FIRST]
    rows = _exchange(_padded(first, HEADER + FIRST))
    headers = [json.loads(row[:HEADER].tobytes()) for row in rows]
    shapes = [(np.dtype(dtype), tuple(shape)) for dtype, shape in headers]
    sizes = [dtype.itemsize * math.prod(shape) for dtype, shape in shapes]
    received = [bytearray(row[HEADER:].tobytes()) for row in rows]
    for at in range(FIRST, max(sizes), PIECE):
        room = _room(min(PIECE, max(sizes) - at))
        for row, out in zip(
            _exchange(_padded(sent[at : at + PIECE], room)), received, strict=True
        ):
            out += row.tobytes()
    return [
        np.frombuffer(out[:size], dtype).reshape(shape)
        for out, size, (dtype, shape) in zip(received, sizes, shapes, strict=True)
    ]


def combine(function: np.ufunc, array: np.ndarray) -> np.ndarray:
    """The sum, the maximum and the like over processes; all pass one shape."""
    if jax.process_count() == 1:
        return array
    flat, out = array.ravel(), np.empty(array.size, array.dtype)
    step = PIECE // array.itemsize // jax.process_count()
    for at in range(0, len(flat), step):
        sent = flat[at : at + step].tobytes()
        rows = _exchange(_padded(sent, _room(len(sent))))
        parts = rows[:, : len(sent)].copy().view(array.dtype)
        out[at : at + step] = function.reduce(parts, axis=0)
    return out.reshape(array.shape)


@contextmanager
def raise_together() -> Iterator[None]:
    """Raises a ValueError of one process in every process.

    Otherwise the others would wait for that process.
    """
    problem = ""
    try:
        yield
    except ValueError as error:
        if jax.process_count() == 1:
            raise
        problem = f"{error} (process {jax.process_index()})"
    if jax.process_count() > 1:
        text = _padded(problem.encode(errors="replace")[:LONGEST], LONGEST)
        for row in _exchange(text):
            if message := row.tobytes().decode(errors="replace").strip():
                raise ValueError(message)


def check_same(name: str, what: str, *values: Any) -> None:
    """Raises a ValueError, in every process, unless all of them pass these values."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            digest.update(f"{value.dtype} {value.shape}".encode())
            digest.update(np.ascontiguousarray(value).data)
        else:
            digest.update(repr(value).encode())
    digests = gather(np.frombuffer(digest.digest(), np.uint8))
    if any((other != digests[0]).any() for other in digests):
        raise ValueError(f"{name}: with `spread` all processes must pass {what}")


def _padded(sent: bytes, room: int) -> UInt8[np.ndarray, " b"]:
    return np.frombuffer(sent.ljust(room), np.uint8)


def _room(size: int) -> int:
    """A power of four, so that few programs are compiled; at most `PIECE`."""
    room = 2**10
    while room < size:
        room *= 4
    return room


def _exchange(row: UInt8[np.ndarray, " b"]) -> UInt8[np.ndarray, "p b"]:
    """The rows of all processes."""
    mesh = _one_device_each()
    lies = NamedSharding(mesh, P("process"))
    rows = jax.make_array_from_process_local_data(lies, row[None])
    return np.asarray(_replicate()(rows).addressable_data(0))


@cache
def _one_device_each() -> Mesh:
    first: dict[int, Any] = {}
    for device in jax.devices():
        first.setdefault(device.process_index, device)
    return Mesh(np.array([first[number] for number in sorted(first)]), "process")


@cache
def _replicate() -> Any:
    whole = NamedSharding(_one_device_each(), P())
    return jax.jit(lambda rows: rows, out_shardings=whole)
