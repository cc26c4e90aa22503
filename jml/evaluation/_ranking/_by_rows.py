"""Ranks of many targets a query: whole rows of the matrix are made and sorted."""

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool
from jaxtyping import Integer as Int

from ._by_counting import only_nearest
from ._close import find_close, most_others, settle
from ._layout import in_blocks, make_queries
from ._level import Level, Targets
from ._sorting import count_in_rows, nearest_rank, ranks_by_sorting
from ._spread_vectors import SpreadVectors
from ._tiles import rows_of_keys


def ranks_by_rows(
    level: Level, queries: Int[np.ndarray, " q"], targets: Targets, tile: int
) -> tuple[Int[np.ndarray, "q r"], Bool[np.ndarray, " q"]]:
    """Ranks the targets of some queries; returns what ``ranks_by_counting`` does."""
    combined = level.search.vectors.combined
    keys, places = _rows(level, queries, tile), targets.places
    target_keys = np.take_along_axis(keys, np.maximum(places, 0), axis=1)
    lowest = np.iinfo(keys.dtype).min  # of targets that another process holds
    target_keys = combined(np.maximum, np.where(places >= 0, target_keys, lowest))
    close = find_close(
        level.products,
        queries,
        target_keys,
        targets.valid,
        nearest_only=level.nearest_only,
    )
    items = np.asarray(level.gallery.item).ravel()
    ranks = _ranks(level, keys, items, targets, target_keys)

    def find(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(chosen)
        row, column = np.nonzero(keys[rows] <= close.keys[rows, None])
        return rows[row], items[column]

    inside, others = close.inside.sum(axis=1), np.zeros(len(keys), int)
    for row in np.flatnonzero(close.any):
        others[row] = np.count_nonzero(keys[row] <= close.keys[row])
    others = combined(np.add, others) - inside
    if level.nearest_only:
        ranks = np.repeat(ranks, places.shape[1], axis=1)
    # These ranks ascend in each row, so those of targets within the limit stand first.
    slots = np.arange(ranks.shape[1]) < inside[:, None]
    unsettled = settle(
        level.search,
        queries,
        targets.items,
        close,
        ranks,
        slots,
        others,
        find,
        most=most_others(level.products),
    )
    return ranks[:, :1] if level.nearest_only else ranks, unsettled


def _ranks(
    level: Level,
    keys: Int[np.ndarray, "q m"],
    items: Int[np.ndarray, " m"],
    targets: Targets,
    target_keys: Int[np.ndarray, "q r"],
) -> Int[np.ndarray, "q _"]:
    """Ranks by these keys, ascending in each row; the nearest target's alone."""
    if not isinstance(level.search.vectors, SpreadVectors):
        rank = nearest_rank if level.nearest_only else ranks_by_sorting
        return rank(keys, items, targets.places, level.size)
    valid = targets.valid
    if level.nearest_only:
        valid = only_nearest(target_keys, targets.items, valid)
    before = count_in_rows(keys, items, target_keys, targets.items)
    before = level.search.vectors.combined(np.add, before)
    ranks = np.sort(np.where(valid, before, level.size), axis=1)
    return ranks[:, :1] if level.nearest_only else ranks


def _rows(
    level: Level, queries: Int[np.ndarray, " q"], tile: int
) -> Int[np.ndarray, "q m"]:
    """The keys of the whole gallery for each query, a block of queries a device."""
    x = in_blocks(level.products.x[queries], tile, 0)
    blocks = make_queries(level.search.excluded, x, queries)
    idle = level.mesh.size - len(x)  # devices
    blocks = jax.tree.map(
        lambda a: np.pad(a, [(0, idle)] + [(0, 0)] * (a.ndim - 1)), blocks
    )
    blocks = jax.device_put(blocks, NamedSharding(level.mesh, P("device")))
    keys = np.asarray(rows_of_keys(blocks, level.gallery, mesh=level.mesh))
    return keys.reshape(-1, keys.shape[2])[: len(queries)]
