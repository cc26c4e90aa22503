"""Ranks of few targets a query: two sweeps over the tiles count what comes before."""

import jax
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool
from jaxtyping import Integer as Int

from ._close import collect_near, find_close, most_others, settle
from ._layout import in_blocks, make_queries
from ._level import Level, Targets
from ._sweeps import Progress, count_before, key_targets


def ranks_by_counting(
    level: Level,
    queries: Int[np.ndarray, " q"],
    targets: Targets,
    tile: int,
    room: int,
    progress: Progress | None,
) -> tuple[Int[np.ndarray, "q r"], Bool[np.ndarray, " q"]]:
    """Ranks the targets of some queries.

    Args:
        level: the search.
        queries: which queries; with `progress`, all items of the sorted gallery.
        targets: their relevant items.
        tile: rows of a tile.
        room: for the targets of a query.
        progress: None unless each tile is to serve its rows and its columns; then it
            wraps the loop over tiles.

    Returns:
        The ranks, the size of the gallery where there is no target; and for which
        queries they are not known, because float32 products cannot order them.
    """
    search, symmetric = level.search, progress is not None
    combined = search.vectors.combined
    x = level.gallery.y if symmetric else in_blocks(level.products.x[queries], tile, 0)
    blocks = make_queries(search.excluded, x, queries)
    blocks = jax.device_put(blocks, NamedSharding(level.mesh, P()))
    items, places, valid = targets
    keys = key_targets(blocks, level.gallery, places, room, level.mesh, symmetric)
    keys = combined(np.maximum, keys)
    close = find_close(
        level.products, queries, keys, valid, nearest_only=level.nearest_only
    )
    far = valid & ~close.inside
    if level.nearest_only:
        far &= only_nearest(keys, items, valid) & ~close.any[:, None]
    counts, near = count_before(
        blocks, level.gallery, keys, items, far, close, room, level.mesh, progress
    )
    ranks = np.where(far, combined(np.add, counts), level.size)
    rows, slots = np.nonzero(close.inside & (places >= 0))
    np.subtract.at(near, (rows, places[rows, slots] // level.part_rows), 1)

    def find(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts, part_rows = (near > 0) & rows[:, None], level.part_rows
        return collect_near(
            level.products, level.order, queries, close, parts, part_rows
        )

    others = combined(np.add, near.sum(axis=1))
    most = most_others(level.products)
    unsettled = settle(
        search, queries, items, close, ranks, close.inside, others, find, most=most
    )
    if level.nearest_only:
        ranks = ranks.min(axis=1, keepdims=True)
    return ranks, unsettled


def only_nearest(
    keys: Int[np.ndarray, "q r"],
    items: Int[np.ndarray, "q r"],
    valid: Bool[np.ndarray, "q r"],
) -> Bool[np.ndarray, "q r"]:
    """Which target is the nearest of its query, by key and then by index."""
    lowest = np.where(valid, keys, np.iinfo(keys.dtype).max).min(axis=1, keepdims=True)
    tied = valid & (keys == lowest)
    first = np.where(tied, items, np.iinfo(items.dtype).max).min(axis=1, keepdims=True)
    return tied & (items == first)
