"""The two sweeps over tiles: keys of targets, and how many items come before them."""

from collections.abc import Callable, Iterable
from functools import reduce
from itertools import pairwise
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool
from jaxtyping import Integer as Int

from . import _tiles
from ._close import Close
from ._keys import key_dtype
from ._layout import (
    PARTS,
    TARGETS_PER_PASS,
    Gallery,
    Queries,
    Thresholds,
    in_blocks,
    padded_targets,
    targets_in_blocks,
)

Progress = Callable[[Iterable[Any]], Iterable[Any]]  # wraps a loop to display it


def key_targets(
    queries: Queries,
    gallery: Gallery,
    places: Int[np.ndarray, "q r"],
    room: int,
    mesh: Mesh,
    symmetric: bool,
) -> Int[np.ndarray, "q r"]:
    """The keys of the items at these places of the sorted gallery; -1 is no place.

    There is `room` for as many places of a query, at least. With `symmetric` the
    queries are the sorted gallery.
    """
    dtype, columns = key_dtype(gallery.y.dtype), gallery.y.shape[1]
    count, tile = queries.x.shape[:2]
    rows = padded_targets(room)
    # For each block of queries, the range of the gallery's blocks that hold targets.
    low = np.where(places >= 0, places, len(gallery.y) * columns).min(axis=1)
    low = in_blocks(low, tile, len(gallery.y) * columns).min(axis=1)
    high = in_blocks(places.max(axis=1), tile, -1).max(axis=1)
    low = np.maximum(low // columns, np.arange(count) if symmetric else 0)
    ranges = np.stack([low, high // columns + 1], axis=1)
    targets = targets_in_blocks(places.astype(np.int32), tile, rows, -1)
    targets = _replicated(targets, mesh)
    state = np.full((mesh.size, count, rows, tile), np.iinfo(dtype).min, dtype)
    state = _sharded(state, mesh)
    for bounds in _work(ranges, mesh.size):
        bounds = _sharded(bounds, mesh)
        options = {"mesh": mesh, "symmetric": symmetric}
        state = _tiles.collect(bounds, queries, gallery, targets, state, **options)
    keys = _over_devices(state, np.maximum)
    return _by_query(keys, len(places))[:, : places.shape[1]]


def count_before(
    queries: Queries,
    gallery: Gallery,
    keys: Int[np.ndarray, "q r"],
    items: Int[np.ndarray, "q r"],
    far: Bool[np.ndarray, "q r"],
    close: Close,
    room: int,
    mesh: Mesh,
    progress: Progress | None,
) -> tuple[Int[np.ndarray, "q r"], Int[np.ndarray, "q p"]]:
    """Counts the items before each far target, and those within each query's limit.

    There is `room` for as many targets of a query, at least. With a `progress` the
    queries are the sorted gallery.

    Returns:
        The first count for each target, the second for each part of the gallery.
    """
    symmetric, any_near = progress is not None, bool(close.any.any())
    count, tile = queries.x.shape[:2]
    # Targets that are counted for stand first, so that few passes reach them all.
    front = np.argsort(~far, axis=1, kind="stable")
    thresholds = _thresholds(keys, items, far, close, front, room, tile)
    rows = thresholds.keys.shape[1]
    thresholds = _replicated(thresholds, mesh)
    first = np.arange(count) if symmetric else np.zeros(count, int)
    work = _work(np.stack([first, np.full(count, len(gallery.y))], axis=1), mesh.size)
    state = np.zeros((count, rows, tile), np.int32)
    state = _sharded(np.broadcast_to(state, (mesh.size, *state.shape)), mesh)
    near = np.zeros((min(PARTS, len(gallery.y)), count, tile), np.int32)
    parts = np.arange(len(gallery.y)) // -(-len(gallery.y) // PARTS)
    for bounds in work if progress is None else progress(work):
        state, number = _tiles.count(
            _sharded(bounds, mesh),
            queries,
            gallery,
            thresholds,
            state,
            mesh=mesh,
            symmetric=symmetric,
        )
        number.block_until_ready()  # or the display of progress would run ahead
        if any_near:
            _add_near(near, np.asarray(number), bounds[:, 0], parts)
    before = np.empty(far.shape, np.int32)
    counts = _by_query(_over_devices(state, np.add), len(far))
    np.put_along_axis(before, front, counts[:, : far.shape[1]], axis=1)
    return before, _by_query(near.transpose(1, 0, 2), len(far))


def _thresholds(
    keys: Int[np.ndarray, "q r"],
    items: Int[np.ndarray, "q r"],
    far: Bool[np.ndarray, "q r"],
    close: Close,
    front: Int[np.ndarray, "q r"],
    room: int,
    tile: int,
) -> Thresholds:
    """What to count, in blocks; `front` puts the far targets of each query first."""
    rows = padded_targets(room + 1)
    lowest = np.iinfo(keys.dtype).min  # no item comes before this key
    keys = np.take_along_axis(np.where(far, keys, lowest), front, axis=1)
    items = np.take_along_axis(items, front, axis=1)
    key_rows: Any = targets_in_blocks(keys, tile, rows, lowest)
    item_rows: Any = targets_in_blocks(items, tile, rows, -1).astype(np.int32)
    limited = in_blocks(close.any, tile, False)
    any_limit = limited.any(axis=1)
    most = in_blocks(far.sum(axis=1), tile, 0).max(axis=1) + any_limit
    passes = -(-most // TARGETS_PER_PASS)
    # The items within a limit: those with its key or a lower one.
    row, largest = passes[any_limit] * TARGETS_PER_PASS - 1, np.iinfo(np.int32).max
    key_rows[any_limit, row] = in_blocks(close.keys, tile, lowest)[any_limit]
    item_rows[any_limit, row] = np.where(limited, largest, -1)[any_limit]
    return Thresholds(key_rows, item_rows, passes.astype(np.int32))


def _add_near(
    near: Int[np.ndarray, "p b t"],
    numbers: np.ndarray,
    of_blocks: Int[np.ndarray, " k"],
    parts: Int[np.ndarray, " g"],
) -> None:
    """Adds what each device counted to the counts of the gallery's parts.

    A device counts the items near the queries of its block and, where tiles serve their
    columns, those of its block near all other queries.
    """
    for block, (rows, *columns) in zip(of_blocks, numbers, strict=True):
        np.add.at(near[:, block], parts, rows)
        for other in columns:
            near[parts[block]] += other


def _by_query(blocks: Int[np.ndarray, "b r t"], count: int) -> Int[np.ndarray, "q r"]:
    return blocks.transpose(0, 2, 1).reshape(-1, blocks.shape[1])[:count]


def _sharded(a: np.ndarray, mesh: Mesh) -> Any:
    return jax.device_put(a, NamedSharding(mesh, P("device")))


def _replicated(tree: Any, mesh: Mesh) -> Any:
    return jax.device_put(tree, NamedSharding(mesh, P()))


def _over_devices(state: Array, combine: np.ufunc) -> np.ndarray:
    """Combines the devices' parts [1, ...] of a state, on the host."""
    parts = [np.asarray(shard.data)[0] for shard in state.addressable_shards]
    return reduce(combine, parts)


def _work(ranges: Int[np.ndarray, "b 2"], devices: int) -> list[Int[np.ndarray, "p 3"]]:
    """What each device does in each step: a block of queries, and a range of tiles.

    Where there are several blocks, devices take one each. Otherwise they share the
    tiles of the only one.
    """
    if len(ranges) > 1:
        parts = [(block, *tiles) for block, tiles in enumerate(ranges)]
    else:
        ((low, high),) = ranges
        edges = np.linspace(low, high, devices + 1).astype(int)
        parts = [(0, *edge) for edge in pairwise(edges)]
    parts += [(0, 0, 0)] * (-len(parts) % devices)  # nothing to do
    return list(np.array(parts, np.int32).reshape(-1, devices, 3))
