"""Where in each query's ranking its relevant items stand, exactly.

The rank of a relevant item is the number of gallery items that come before it: those
nearer to the query and, of those as near, the earlier ones in the gallery. The matrix
of distances is made tile by tile and not kept. A first sweep, over the few tiles where
query and gallery share a class, collects the keys of the relevant items, the targets; a
second one, over all tiles, counts what comes before each target. Where queries have
many targets, whole rows are made and sorted instead. What float32 products cannot order
is settled by differences (`_close`) or, where it is much, by float64 products.

Items are sorted by class, the rarest first: the relevant items of a query then lie side
by side, and the queries of a tile have about as many. Where queries are searched for
among themselves, a tile serves its rows and, transposed, its columns.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool, Int

from ._close import HEAVY, collect_near, find_close, settle
from ._counting import count_before, key_targets
from ._layout import (
    blocks,
    make_queries,
    relevant_places,
    sort_by_class,
    tile_rows,
)
from ._level import Level, first_dtype, make_level, width
from ._rows import SORT_ABOVE, nearest_rank, ranks_by_sorting
from ._search import Search
from ._tiles import rows_of_keys

Progress = Callable[[Iterable[Any]], Iterable[Any]]
MAX_TARGETS = 2**25  # kept at once; of more, tiles serve their rows alone
MAX_KEYS = 2**26  # of whole rows, kept at once


def relevant_ranks(
    search: Search,
    *,
    nearest_only: bool = False,
    progress: Progress = lambda steps: steps,
) -> Iterator[tuple[Int[np.ndarray, " q"], Int[np.ndarray, "q r"]]]:
    """Yields queries, and the ranks from 0 of their relevant items in ascending order.

    Rows are filled up with the size of the gallery. Queries without relevant items are
    left out. With `nearest_only` there is one rank, of the nearest relevant item. All
    devices that this process has share the work, unless JAX was told to use a certain
    one.
    """
    laid = sort_by_class(search)
    queries = np.flatnonzero(laid.relevant)
    first = first_dtype(search.vectors.dtype)
    for dtype in dict.fromkeys((first, np.dtype(np.float64))):
        if len(queries):
            heavy: list[np.ndarray] = []
            with width(dtype):
                level = make_level(search, laid, dtype, nearest_only)
            yield from _of_level(level, queries, heavy, progress)
            queries = np.concatenate([queries[:0], *heavy])


def _of_level(
    level: Level, queries: np.ndarray, heavy: list[np.ndarray], progress: Progress
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The ranks of some queries; those that need wider floats go to `heavy`."""
    search, laid, dtype = level.search, level.laid, level.products.x.dtype
    size, devices, members = len(laid.order), level.mesh.size, laid.members.max()
    many = laid.relevant[queries] > SORT_ABOVE
    symmetric = (
        search.among_themselves
        and 2 * len(queries) > size
        and size * members <= MAX_TARGETS
        and many.mean() < 0.1
    )
    if symmetric:
        batches = [(laid.order, level.columns, False)]
    else:
        in_order = np.argsort(laid.first[queries], kind="stable")
        few, rest = (queries[in_order[part[in_order]]] for part in (~many, many))
        room = min(MAX_KEYS // devices // size, MAX_TARGETS // 4 // devices // members)
        rows = min(tile_rows(len(rest)), max(16, room // 16 * 16))
        batches = _batches(few, tile_rows(len(few)), 1, False)
        batches += _batches(rest, rows, devices, True)
    for batch, tile, by_rows in batches if symmetric else progress(batches):
        with width(dtype):
            if by_rows:
                ranks, left = _by_rows(level, batch, tile)
            else:
                progress_of_tiles = progress if symmetric else None
                ranks, left = _by_counting(level, batch, tile, progress_of_tiles)
        if symmetric:
            keep = np.isin(batch, queries)
            batch, ranks, left = batch[keep], ranks[keep], left[keep]
        if left.any():
            heavy.append(batch[left])
        if not left.all():
            yield batch[~left], np.sort(ranks[~left], axis=1)


def _batches(
    queries: Int[np.ndarray, " q"], tile: int, devices: int, by_rows: bool
) -> list[tuple[np.ndarray, int, bool]]:
    """Queries of a step, the rows of a tile, and whether rows are made of them.

    All tiles have one shape, so that one program serves them.
    """
    step = max(1, tile * devices)
    return [
        (queries[at : at + step], tile, by_rows) for at in range(0, len(queries), step)
    ]


def _by_counting(
    level: Level, batch: Int[np.ndarray, " q"], tile: int, progress: Progress | None
) -> tuple[Int[np.ndarray, "q r"], Bool[np.ndarray, " q"]]:
    """Ranks of the targets of some queries, and which are left to wider floats.

    With a `progress` the queries are the sorted gallery.
    """
    search, laid, size = level.search, level.laid, len(level.laid.order)
    symmetric = progress is not None
    x = level.gallery.y if symmetric else blocks(level.products.x[batch], tile, 0)
    queries = make_queries(search.excluded, x, batch)
    queries = jax.device_put(queries, NamedSharding(level.mesh, P()))
    places = relevant_places(search, laid, batch)
    valid, index = places >= 0, laid.order[places]
    keys = key_targets(queries, level.gallery, places, level.mesh, symmetric)
    close = find_close(
        level.products, batch, keys, valid, nearest_only=level.nearest_only
    )
    far = valid & ~close.inside
    if level.nearest_only:
        far &= _only_nearest(keys, index, valid) & ~close.any[:, None]
    counts, near = count_before(
        queries, level.gallery, keys, index, far, close, level.mesh, progress
    )
    ranks = np.where(far, counts, size)
    rows, targets = np.nonzero(close.inside)
    np.subtract.at(near, (rows, places[rows, targets] // level.part_rows), 1)

    def find(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wanted, part_rows = (near > 0) & chosen[:, None], level.part_rows
        return collect_near(level.products, laid.order, batch, close, wanted, part_rows)

    others, most = near.sum(axis=1), _most_others(level)
    left = settle(
        search, batch, index, close, ranks, close.inside, others, find, most=most
    )
    if level.nearest_only:
        ranks = ranks.min(axis=1, keepdims=True)
    return ranks, left


def _only_nearest(keys, index, valid) -> Bool[np.ndarray, "q r"]:
    lowest = np.where(valid, keys, np.iinfo(keys.dtype).max).min(axis=1, keepdims=True)
    tied = valid & (keys == lowest)
    first = np.where(tied, index, np.iinfo(index.dtype).max).min(axis=1, keepdims=True)
    return tied & (index == first)


def _by_rows(
    level: Level, batch: Int[np.ndarray, " q"], tile: int
) -> tuple[Int[np.ndarray, "q r"], Bool[np.ndarray, " q"]]:
    """What `_by_counting` returns, from whole rows of keys."""
    search, laid, mesh = level.search, level.laid, level.mesh
    x = blocks(level.products.x[batch], tile, 0)
    queries = make_queries(search.excluded, x, batch)
    idle = mesh.size - len(x)
    queries = jax.tree.map(
        lambda a: np.pad(a, [(0, idle)] + [(0, 0)] * (a.ndim - 1)), queries
    )
    queries = jax.device_put(queries, NamedSharding(mesh, P("device")))
    keys = np.asarray(rows_of_keys(queries, level.gallery, mesh=mesh))
    keys = keys.reshape(-1, keys.shape[2])[: len(batch)]
    places = relevant_places(search, laid, batch)
    targets = np.take_along_axis(keys, np.maximum(places, 0), axis=1)
    close = find_close(
        level.products, batch, targets, places >= 0, nearest_only=level.nearest_only
    )
    index = np.asarray(level.gallery.index).ravel()
    rank = nearest_rank if level.nearest_only else ranks_by_sorting
    ranks = rank(keys, index, places, len(laid.order))

    def find(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(chosen)
        row, column = np.nonzero(keys[rows] <= close.keys[rows, None])
        return rows[row], index[column]

    inside = close.inside.sum(axis=1)
    others = -inside
    for at in np.flatnonzero(close.any):
        others[at] += np.count_nonzero(keys[at] <= close.keys[at])
    # Ranks are in ascending order here, and what is within the limit comes first.
    if level.nearest_only:
        ranks = np.repeat(ranks, places.shape[1], axis=1)
    slots = np.arange(ranks.shape[1]) < inside[:, None]
    items, most = laid.order[places], _most_others(level)
    left = settle(search, batch, items, close, ranks, slots, others, find, most=most)
    return ranks[:, :1] if level.nearest_only else ranks, left


def _most_others(level: Level) -> float:
    return np.inf if level.products.x.dtype == np.float64 else HEAVY
