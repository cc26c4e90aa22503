"""Ranks of few targets a query: two sweeps over the tiles count what comes before."""

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool
from jaxtyping import Integer as Int

from ._close import collect_near, find_close, most_others, settle
from ._layout import in_blocks, make_queries, relevant_places
from ._level import Level
from ._sweeps import Progress, count_before, key_targets


def ranks_by_counting(
    level: Level,
    queries: Int[np.ndarray, " q"],
    tile: int,
    targets: int,
    progress: Progress | None,
) -> tuple[Int[np.ndarray, "q r"], Bool[np.ndarray, " q"]]:
    """Ranks the targets of some queries.

    Args:
        level: the search.
        queries: which queries; with `progress`, all items of the sorted gallery.
        tile: rows of a tile.
        targets: room for the targets of a query.
        progress: None unless each tile is to serve its rows and its columns; then it
            wraps the loop over tiles.

    Returns:
        The ranks, the size of the gallery where there is no target; and for which
        queries they are not known, because float32 products cannot order them.
    """
    search, layout, size = level.search, level.layout, len(level.layout.order)
    symmetric = progress is not None
    x = level.gallery.y if symmetric else in_blocks(level.products.x[queries], tile, 0)
    blocks = make_queries(search.excluded, x, queries)
    blocks = jax.device_put(blocks, NamedSharding(level.mesh, P()))
    places = relevant_places(search, layout, queries)
    valid, items = places >= 0, layout.order[places]
    keys = key_targets(blocks, level.gallery, places, targets, level.mesh, symmetric)
    close = find_close(
        level.products, queries, keys, valid, nearest_only=level.nearest_only
    )
    far = valid & ~close.inside
    if level.nearest_only:
        far &= _only_nearest(keys, items, valid) & ~close.any[:, None]
    counts, near = count_before(
        blocks, level.gallery, keys, items, far, close, targets, level.mesh, progress
    )
    ranks = np.where(far, counts, size)
    rows, slots = np.nonzero(close.inside)
    np.subtract.at(near, (rows, places[rows, slots] // level.part_rows), 1)

    def find(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts, part_rows = (near > 0) & rows[:, None], level.part_rows
        return collect_near(
            level.products, layout.order, queries, close, parts, part_rows
        )

    others, most = near.sum(axis=1), most_others(level.products)
    unsettled = settle(
        search, queries, items, close, ranks, close.inside, others, find, most=most
    )
    if level.nearest_only:
        ranks = ranks.min(axis=1, keepdims=True)
    return ranks, unsettled


def _only_nearest(
    keys: Int[np.ndarray, "q r"],
    items: Int[np.ndarray, "q r"],
    valid: Bool[np.ndarray, "q r"],
) -> Bool[np.ndarray, "q r"]:
    """Which target is the nearest of its query, by key and then by index."""
    lowest = np.where(valid, keys, np.iinfo(keys.dtype).max).min(axis=1, keepdims=True)
    tied = valid & (keys == lowest)
    first = np.where(tied, items, np.iinfo(items.dtype).max).min(axis=1, keepdims=True)
    return tied & (items == first)
