"""Where in each query's ranking its relevant items stand, exactly.

The rank of a relevant item is the number of gallery items that come before it: those
nearer to the query and, of those as near, the earlier ones in the gallery. The matrix
of distances is made tile by tile and not kept. A first sweep, over the few tiles where
query and gallery share a class, collects the keys of the relevant items, the targets; a
second one, over all tiles, counts what comes before each target. Where queries have
many targets, whole rows are sorted instead. What float32 products cannot order is
settled by differences (`_close`) or, where it is much, by float64 products.

Items are sorted by class, the rarest first: the relevant items of a query then lie side
by side, and the queries of a tile have about as many. Where queries are searched for
among themselves, a tile serves its rows and, transposed, its columns.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool, Int

from ._close import HEAVY, Close, collect_near, exact_ranks, find_close
from ._counting import count_before, key_targets
from ._layout import (
    PARTS,
    Gallery,
    Sorted,
    blocks,
    make_gallery,
    make_queries,
    relevant_places,
    sort_by_class,
    tile_rows,
)
from ._rows import SORT_ABOVE, ranks_by_sorting
from ._search import Search
from ._tiles import rows_of_keys
from ._vectors import Products, Vectors

Progress = Callable[[Iterable[Any]], Iterable[Any]]
MAX_TARGETS = 2**25  # kept at once; of more, tiles serve their rows alone
MAX_KEYS = 2**26  # of whole rows, kept at once


class Level(NamedTuple):
    """A search in the floats of one width, on the devices."""

    search: Search
    laid: Sorted
    products: Products
    gallery: Gallery
    mesh: Mesh
    columns: int  # of a tile
    nearest_only: bool

    @property
    def part_rows(self) -> int:
        """How many items of the sorted gallery a part has."""
        return -(-len(self.gallery.y) // PARTS) * self.columns


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
    for dtype in dict.fromkeys((first_dtype(search.vectors), np.dtype(np.float64))):
        if len(queries):
            heavy: list[np.ndarray] = []
            with width(dtype):
                level = _make_level(search, laid, dtype, nearest_only)
            yield from _of_level(level, queries, heavy, progress)
            queries = np.concatenate([queries[:0], *heavy])


def first_dtype(vectors: Vectors) -> np.dtype:
    """What products are made in, as long as they tell distances apart."""
    wide = vectors.wide and jax.config.jax_enable_x64
    return np.dtype(np.float64 if wide else np.float32)


def width(dtype: np.dtype) -> AbstractContextManager:
    """Lets JAX compute in float64, where that is the dtype, for a while."""
    return jax.enable_x64(True) if dtype == np.float64 else nullcontext()


def _make_level(search: Search, laid: Sorted, dtype, nearest_only: bool) -> Level:
    chosen = jax.config.jax_default_device is not None
    devices = list(jnp.zeros(()).devices()) if chosen else jax.local_devices()
    mesh = Mesh(np.array(devices), "device")
    products = search.vectors.products(dtype)
    columns = tile_rows(len(products.y))
    gallery = make_gallery(search, products, laid.order, columns)
    gallery = jax.device_put(gallery, NamedSharding(mesh, P()))
    return Level(search, laid, products, gallery, mesh, columns, nearest_only)


def _of_level(
    level: Level, queries: np.ndarray, heavy: list[np.ndarray], progress: Progress
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The ranks of some queries; those that need wider floats go to `heavy`."""
    search, laid, dtype = level.search, level.laid, level.products.x.dtype
    relevant = laid.relevant[queries]
    many = relevant > (np.inf if level.nearest_only else SORT_ABOVE)
    symmetric = (
        search.among_themselves
        and 2 * len(queries) > len(laid.order)
        and len(laid.order) * relevant.max() <= MAX_TARGETS
        and many.mean() < 0.1
    )
    if symmetric:
        batches = [laid.order]
    else:
        in_order = queries[np.argsort(laid.first[queries], kind="stable")]
        many = laid.relevant[in_order] > (SORT_ABOVE if many.any() else np.inf)
        rows = min(level.columns, MAX_KEYS // len(laid.order) // 16 * 16) or 16
        rows *= level.mesh.size
        tile = tile_rows(len(in_order))
        batches = [
            part[at : at + step]
            for part, step in ((in_order[~many], tile), (in_order[many], rows))
            for at in range(0, len(part), step)
        ]
    for some in batches if symmetric else progress(batches):
        with width(dtype):
            if symmetric:
                ranks, left = _by_counting(level, some, progress)
                keep = np.isin(some, queries)
                some, ranks, left = some[keep], ranks[keep], left[keep]
            elif laid.relevant[some[0]] > SORT_ABOVE and not level.nearest_only:
                ranks, left = _by_sorting(level, some)
            else:
                ranks, left = _by_counting(level, some, None)
        if left.any():
            heavy.append(some[left])
        if not left.all():
            yield some[~left], np.sort(ranks[~left], axis=1)


def _by_counting(
    level: Level, some: Int[np.ndarray, " q"], progress: Progress | None
) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of the targets of some queries; with a `progress` they are the gallery."""
    search, laid, size = level.search, level.laid, len(level.laid.order)
    symmetric = progress is not None
    tile = level.columns if symmetric else tile_rows(len(some))
    x = level.gallery.y if symmetric else blocks(level.products.x[some], tile, 0)
    queries = make_queries(search, x, some)
    queries = jax.device_put(queries, NamedSharding(level.mesh, P()))
    places = relevant_places(search, laid, some)
    valid = places >= 0
    keys = key_targets(queries, level.gallery, places, level.mesh, symmetric)
    close = find_close(
        level.products, some, keys, valid, nearest_only=level.nearest_only
    )
    far = valid & ~close.targets
    index = laid.order[places]
    if level.nearest_only:
        best = np.lexsort((index, np.where(far, keys, np.iinfo(keys.dtype).max)))[:, :1]
        chosen = np.zeros_like(far)
        np.put_along_axis(chosen, best, True, axis=1)
        far &= chosen & ~close.any[:, None]
    counts, near = count_before(
        queries, level.gallery, keys, index, far, close, level.mesh, progress
    )
    ranks = np.where(far, counts, size)
    rows, targets = np.nonzero(close.inside)
    np.subtract.at(near, (rows, places[rows, targets] // level.part_rows), 1)

    def find(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        wanted = (near > 0) & chosen[:, None]
        part_rows = level.part_rows
        return collect_near(level.products, laid.order, some, close, wanted, part_rows)

    others = near.sum(axis=1)
    left = _settle(level, some, index, close, ranks, close.targets, others, find)
    if level.nearest_only:
        ranks = ranks.min(axis=1, keepdims=True)
    return ranks, left


def _by_sorting(
    level: Level, some: Int[np.ndarray, " q"]
) -> tuple[np.ndarray, np.ndarray]:
    """The same from sorted rows, which the devices make each for its own queries."""
    search, laid, mesh = level.search, level.laid, level.mesh
    size, tile = len(laid.order), tile_rows(-(-len(some) // mesh.size))
    x = blocks(level.products.x[some], tile, 0)
    queries = make_queries(search, x, some)
    idle = mesh.size - len(x)
    queries = jax.tree.map(lambda a: np.pad(a, _at_the_end(a, idle)), queries)
    queries = jax.device_put(queries, NamedSharding(mesh, P("device")))
    keys = np.asarray(rows_of_keys(queries, level.gallery, mesh=mesh))
    keys = keys.reshape(-1, keys.shape[2])[: len(some)]
    places = relevant_places(search, laid, some)
    valid = places >= 0
    targets = np.take_along_axis(keys, np.maximum(places, 0), axis=1)
    close = find_close(level.products, some, targets, valid, nearest_only=False)
    index = np.asarray(level.gallery.index).ravel()
    ranks = ranks_by_sorting(keys, index, places, size)

    def find(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(chosen)
        row, column = np.nonzero(keys[rows] <= close.keys[rows, None])
        return rows[row], index[column]

    others = -close.inside.sum(axis=1)
    for at in np.flatnonzero(close.any):
        others[at] += np.count_nonzero(keys[at] <= close.keys[at])
    # Ranks are in ascending order here, and the close targets are the first of them.
    slots = np.arange(ranks.shape[1]) < close.targets.sum(axis=1)[:, None]
    left = _settle(level, some, laid.order[places], close, ranks, slots, others, find)
    return ranks, left


def _at_the_end(a: np.ndarray, count: int) -> list[tuple[int, int]]:
    return [(0, count)] + [(0, 0)] * (a.ndim - 1)


def _settle(
    level: Level,
    some: Int[np.ndarray, " q"],
    index: Int[np.ndarray, "q r"],
    close: Close,
    ranks: Int[np.ndarray, "q r"],
    slots: Bool[np.ndarray, "q r"],
    others: Int[np.ndarray, " q"],
    find: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> Bool[np.ndarray, " q"]:
    """Puts the ranks of the close targets into their slots.

    Args:
        level: of the search.
        some: the queries.
        index: their targets, in the gallery as given.
        close: what is close among them.
        ranks: to be completed.
        slots: where those of close targets go, in ascending order.
        others: how many items within the limit are not among the targets.
        find: finds what is within the limit of some of the queries.

    Returns:
        Which queries are left to wider floats, as they have too many others.
    """
    search, last = level.search, level.products.x.dtype == np.float64
    left = close.any & (others > (np.inf if last else HEAVY))
    alone = slots & (close.any & (others <= 0))[:, None]
    ranks[alone] = (np.cumsum(slots, axis=1) - 1)[alone]
    chosen = close.any & (others > 0) & ~left
    if chosen.any():
        rows, items = find(chosen)
        known = search.classes[some[rows]] == search.gallery_classes[items]
        known |= search.excluded.pairs(some[rows], items)
        row, target = np.nonzero(close.inside & chosen[:, None])
        rows = np.concatenate([rows[~known], row])
        items = np.concatenate([items[~known], index[row, target]])
        is_target = np.zeros(len(rows), bool)
        is_target[len(rows) - len(row) :] = close.targets[row, target]
        found = exact_ranks(search.vectors, some, rows, items, is_target)
        ranks[slots & chosen[:, None]] = found
    return left
