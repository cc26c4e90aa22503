"""Ranks of many targets a query: whole rows of the matrix are made and sorted."""

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool
from jaxtyping import Integer as Int

from ._close import find_close, most_others, settle
from ._layout import in_blocks, make_queries, relevant_places
from ._level import Level
from ._sorting import nearest_rank, ranks_by_sorting
from ._tiles import rows_of_keys


def ranks_by_rows(
    level: Level, queries: Int[np.ndarray, " q"], tile: int
) -> tuple[Int[np.ndarray, "q r"], Bool[np.ndarray, " q"]]:
    """Ranks the targets of some queries; returns what ``ranks_by_counting`` does."""
    search, layout = level.search, level.layout
    keys = _rows(level, queries, tile)
    places = relevant_places(search, layout, queries)
    targets = np.take_along_axis(keys, np.maximum(places, 0), axis=1)
    close = find_close(
        level.products, queries, targets, places >= 0, nearest_only=level.nearest_only
    )
    items = np.asarray(level.gallery.item).ravel()
    rank = nearest_rank if level.nearest_only else ranks_by_sorting
    ranks = rank(keys, items, places, len(layout.order))

    def find(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(chosen)
        row, column = np.nonzero(keys[rows] <= close.keys[rows, None])
        return rows[row], items[column]

    inside = close.inside.sum(axis=1)
    others = -inside
    for row in np.flatnonzero(close.any):
        others[row] += np.count_nonzero(keys[row] <= close.keys[row])
    if level.nearest_only:
        ranks = np.repeat(ranks, places.shape[1], axis=1)
    # These ranks ascend in each row, so those of targets within the limit stand first.
    slots = np.arange(ranks.shape[1]) < inside[:, None]
    unsettled = settle(
        search,
        queries,
        layout.order[places],
        close,
        ranks,
        slots,
        others,
        find,
        most=most_others(level.products),
    )
    return ranks[:, :1] if level.nearest_only else ranks, unsettled


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
