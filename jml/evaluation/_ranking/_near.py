"""All pairs within a distance: candidates by products, decided by differences."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool, Float
from jaxtyping import Integer as Int

from ._layout import in_blocks, tile_rows
from ._level import first_dtype, mesh_of_search, width
from ._near_tiles import SHARDED, least_limit, near_items, share_of_error
from ._sweeps import Progress
from ._vectors import Vectors

RANGE = 64  # tiles that a device goes over in one call, at most
WIDE = np.dtype(np.float64)

Pairs = tuple[
    Int[np.ndarray, " p"],  # the queries
    Int[np.ndarray, " p"],  # the gallery's items
    Float[np.ndarray, " p"],  # their distances
]


class Nearness(NamedTuple):
    """How near is near."""

    # A bound on the squared distance of each query's near items, in the units of
    # ``Vectors.rows``.
    limits: Float[np.ndarray, " n"]
    # Which pairs are near, of queries, items and exact distances.
    within: Callable[..., Bool[np.ndarray, " k"]]


def pairs_within(
    vectors: Vectors, nearness: Nearness, progress: Progress | None
) -> Iterator[Pairs]:
    """Yields the near pairs of one tile after another.

    Without a gallery, the first of each pair comes before the second.
    """
    dtype = first_dtype(vectors.dtype)
    with width(dtype):
        for rows, columns in _near_tiles(vectors, nearness.limits, dtype, progress):
            rows, columns = _candidates(vectors, nearness.limits, rows, columns)
            distances = vectors.distances(rows, columns)
            near = nearness.within(rows, columns, distances)
            if near.any():
                yield rows[near], columns[near], distances[near]


def _near_tiles(
    vectors: Vectors,
    limits: Float[np.ndarray, " n"],
    dtype: np.dtype,
    progress: Progress | None,
) -> Iterator[tuple[Int[np.ndarray, " r"], Int[np.ndarray, " c"]]]:
    """Queries and items of each tile that has candidates."""
    mesh, symmetric = mesh_of_search(), vectors.y is vectors.x
    arrays = _on_devices(vectors, limits, dtype, mesh)
    (blocks, tile), (others, columns) = arrays[0].shape[:2], arrays[2].shape[:2]
    most = min(RANGE, -(-others // mesh.size))
    work = _work(blocks, others, most, mesh.size, symmetric)
    started: list[Any] = []  # one call ahead: the devices work while this looks
    by_device = NamedSharding(mesh, SHARDED)
    for ranges in chain(work if progress is None else progress(work), [None]):
        if ranges is not None:
            on_devices = jax.device_put(ranges, by_device)
            options = {"most": most, "symmetric": symmetric, "mesh": mesh}
            started.append((ranges, near_items(on_devices, *arrays, **options)))
        while len(started) > (ranges is not None):
            found_ranges, found = started.pop(0)
            rows, items = map(np.asarray, found)
            for device, at in np.argwhere(rows.any(axis=2)):
                block, low, _ = found_ranges[device]
                yield (
                    block * tile + np.flatnonzero(rows[device, at]),
                    (low + at) * columns + np.flatnonzero(items[device, at]),
                )


def _on_devices(
    vectors: Vectors, limits: Float[np.ndarray, " n"], dtype: np.dtype, mesh: Mesh
) -> tuple[Any, ...]:
    """The arguments of ``near_items``, on each of the devices."""
    products, share = vectors.products(dtype), share_of_error(*_size(vectors, dtype))
    bounds = limits + least_limit(*_size(vectors, dtype)) - (1 - share) * products.base
    largest = np.finfo(dtype).max
    bounds = np.clip(bounds, -largest, largest).astype(dtype)
    with np.errstate(over="ignore"):  # beyond the largest is infinity
        bounds = np.minimum(np.nextafter(bounds, dtype.type(np.inf)), largest)
    offsets = products.offsets * dtype.type(1 - share)
    tile, columns = tile_rows(len(products.x)), tile_rows(len(products.y))
    everywhere = NamedSharding(mesh, P())
    y = jax.device_put(in_blocks(products.y, columns, 0), everywhere)
    x = y
    if vectors.y is not vectors.x:
        x = jax.device_put(in_blocks(products.x, tile, 0), everywhere)
    # What fills up the last blocks is near to nothing.
    small = in_blocks(bounds, tile, -np.inf), in_blocks(offsets, columns, np.inf)
    bounds, offsets = jax.device_put(small, everywhere)
    return x, bounds, y, offsets


def _work(
    blocks: int, others: int, most: int, devices: int, symmetric: bool
) -> list[Int[np.ndarray, "p 3"]]:
    """What each device does in each call: a block of queries, and a range of tiles."""
    parts = [
        (block, low, min(low + most, others))
        for block in range(blocks)
        for low in range(block if symmetric else 0, others, most)
    ]
    parts += [(0, 0, 0)] * (-len(parts) % devices)  # nothing to do
    return list(np.array(parts, np.int32).reshape(-1, devices, 3))


def _candidates(
    vectors: Vectors,
    limits: Float[np.ndarray, " n"],
    rows: Int[np.ndarray, " r"],
    columns: Int[np.ndarray, " c"],
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """The pairs of these queries and items that may be near, by float64 products."""
    x, y = (
        vectors.rows(part, at) - vectors.centre
        for part, at in ((0, rows), (-1, columns))
    )
    base, offsets = (np.einsum("ij,ij->i", part, part) for part in (x, y))
    if vectors.any_zeros:
        base, offsets = np.ones(len(x)), np.ones(len(y))
    share = share_of_error(*_size(vectors, WIDE))
    bounds = limits[rows] + least_limit(*_size(vectors, WIDE)) - (1 - share) * base
    near = (1 - share) * offsets - 2 * (x @ y.T) <= bounds[:, None]
    if vectors.y is vectors.x:
        near &= rows[:, None] < columns
    row, column = np.nonzero(near)
    return rows[row], columns[column]


def _size(vectors: Vectors, dtype: np.dtype) -> tuple[np.dtype, int]:
    return dtype, vectors.x.shape[1]
