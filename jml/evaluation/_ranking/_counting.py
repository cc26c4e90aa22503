"""The two sweeps over tiles: keys of targets, and how many items come before them."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool, Int

from . import _tiles
from ._close import Close
from ._keys import key_dtype
from ._layout import (
    PARTS,
    TARGETS_PER_PASS,
    Gallery,
    Queries,
    Thresholds,
    across,
    blocks,
    padded_targets,
)


def key_targets(
    queries: Queries,
    gallery: Gallery,
    places: Int[np.ndarray, "q r"],
    mesh: Mesh,
    symmetric: bool,
) -> Int[np.ndarray, "q r"]:
    """The keys of the items at these places of the sorted gallery; -1 stands for none.

    With `symmetric` the queries are the sorted gallery.
    """
    dtype, columns = key_dtype(gallery.y.dtype), gallery.y.shape[1]
    count, tile = queries.x.shape[:2]
    rows = padded_targets(places.shape[1])
    # Block by block, the range of the gallery's blocks that hold targets.
    low = np.where(places >= 0, places, len(gallery.y) * columns).min(axis=1)
    low = blocks(low, tile, len(gallery.y) * columns).min(axis=1)
    high = blocks(places.max(axis=1), tile, -1).max(axis=1)
    near = np.stack([low // columns, high // columns + 1], axis=1)
    spread = _everywhere(across(places.astype(np.int32), tile, rows, -1), mesh)
    state = np.full((mesh.size, count, rows, tile), np.iinfo(dtype).min, dtype)
    state = _apart(state, mesh)
    for bounds in _work(near, mesh.size, symmetric):
        bounds = _apart(bounds, mesh)
        options = {"mesh": mesh, "symmetric": symmetric}
        state = _tiles.collect(bounds, queries, gallery, spread, state, **options)
    keys = np.asarray(jnp.max(state, axis=0))
    return _by_query(keys, len(places))[:, : places.shape[1]]


def count_before(
    queries: Queries,
    gallery: Gallery,
    keys: Int[np.ndarray, "q r"],
    index: Int[np.ndarray, "q r"],
    far: Bool[np.ndarray, "q r"],
    close: Close,
    mesh: Mesh,
    progress: Callable[[Iterable[Any]], Iterable[Any]] | None,
) -> tuple[Int[np.ndarray, "q r"], Int[np.ndarray, "q p"]]:
    """How many items come before each far target, and lie within the limit.

    With a `progress` the queries are the sorted gallery.

    Returns:
        The first for each target, the second for each part of the gallery.
    """
    count, tile = queries.x.shape[:2]
    # Only the far ones are counted for: they come first.
    front = np.argsort(~far, axis=1, kind="stable")
    most = far.sum(axis=1)
    rows = padded_targets(far.shape[1])
    nothing = np.iinfo(keys.dtype).min  # before what is no target comes nothing
    chosen = np.where(far, keys, nothing)
    thresholds = Thresholds(
        across(np.take_along_axis(chosen, front, axis=1), tile, rows, nothing),
        across(np.take_along_axis(index, front, axis=1), tile, rows, -1).astype(
            np.int32
        ),
        -(-blocks(most, tile, 0).max(axis=1) // TARGETS_PER_PASS),
        blocks(close.keys, tile, nothing),
        blocks(close.any, tile, False).any(axis=1).astype(np.int32),
    )
    symmetric = progress is not None
    everything = np.tile([0, len(gallery.y)], (count, 1))
    work = _work(everything, mesh.size, symmetric)
    work = progress(work) if symmetric else work
    thresholds = _everywhere(thresholds, mesh)
    state = np.zeros((count, rows, tile), np.int32)
    state = _apart(np.broadcast_to(state, (mesh.size, *state.shape)), mesh)
    any_near = bool(close.any.any())
    near = np.zeros((min(PARTS, len(gallery.y)), count, tile), np.int32)
    parts = np.arange(len(gallery.y)) // -(-len(gallery.y) // PARTS)
    for bounds in work:
        state, number = _tiles.count(
            _apart(bounds, mesh),
            queries,
            gallery,
            thresholds,
            state,
            mesh=mesh,
            symmetric=symmetric,
            any_near=any_near,
        )
        number.block_until_ready()  # or a display of the progress would run ahead
        if any_near:
            _add_near(near, np.asarray(number), bounds[:, 0], parts)
    before = np.empty(far.shape, np.int32)
    counts = _by_query(np.asarray(jnp.sum(state, axis=0)), len(far))
    np.put_along_axis(before, front, counts[:, : far.shape[1]], axis=1)
    return before, _by_query(near.transpose(1, 0, 2), len(far))


def _add_near(near, numbers, of_blocks, parts) -> None:
    """Adds what each device counted, of and in its block, to the parts' counts."""
    for block, (rows, *columns) in zip(of_blocks, numbers, strict=True):
        np.add.at(near[:, block], parts, rows)
        for other in columns:
            near[parts[block]] += other


def _by_query(blocks: Int[np.ndarray, "b r t"], count: int) -> np.ndarray:
    return blocks.transpose(0, 2, 1).reshape(-1, blocks.shape[1])[:count]


def _apart(a: np.ndarray, mesh: Mesh) -> Any:
    return jax.device_put(a, NamedSharding(mesh, P("device")))


def _everywhere(tree: Any, mesh: Mesh) -> Any:
    return jax.device_put(tree, NamedSharding(mesh, P()))


def _work(
    ranges: Int[np.ndarray, "b 2"], devices: int, symmetric: bool
) -> list[Int[np.ndarray, "p 3"]]:
    """What each device does in each step: a block of queries, and a range of tiles.

    Of many blocks, devices take one each; they share the tiles of a single one.
    """
    if symmetric:
        parts = [(b, max(b, low), high) for b, (low, high) in enumerate(ranges)]
    else:
        ((low, high),) = ranges
        edges = np.linspace(low, high, devices + 1).astype(int)
        parts = [(0, *edge) for edge in pairwise(edges)]
    parts += [(0, 0, 0)] * (-len(parts) % devices)
    return list(np.array(parts, np.int32).reshape(-1, devices, 3))
