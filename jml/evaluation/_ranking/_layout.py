"""How items are laid out for tiles of the distance matrix: sorted, and in blocks."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from ._excluded import Excluded
from ._search import Search
from ._vectors import Products

# Rows of a tile. No power of two: their rows would compete for the same cache lines.
TILE = 1008
TARGETS_PER_PASS = 4  # targets that one pass over a tile counts for
PARTS = 64  # most parts of the gallery in each of which near items are counted


class SortedGallery(NamedTuple):
    """The gallery sorted by class, the rarest class first."""

    order: Int[np.ndarray, " m"]  # the item at each place
    first: Int[np.ndarray, " n"]  # the first place of each query's class
    class_sizes: Int[np.ndarray, " n"]  # how many items that class has in the gallery
    relevant: Int[np.ndarray, " n"]  # how many of them are not left out


def sort_by_class(search: Search) -> SortedGallery:
    """Sorts the gallery, and finds where each query's class stands."""
    counts = np.bincount(search.gallery_classes, minlength=len(search.labels))
    by_size = np.argsort(counts, kind="stable")
    starts = np.empty_like(counts)
    starts[by_size] = np.cumsum(counts[by_size]) - counts[by_size]
    order = np.argsort(starts[search.gallery_classes], kind="stable")
    sizes = counts[search.classes]
    out = search.excluded.count_within(search.classes, search.gallery_classes)
    return SortedGallery(order, starts[search.classes], sizes, sizes - out)


def relevant_places(
    search: Search, layout: SortedGallery, queries: Int[np.ndarray, " q"]
) -> Int[np.ndarray, "q r"]:
    """The places of the queries' relevant items in the sorted gallery, then -1."""
    number = np.arange(layout.class_sizes[queries].max(), dtype=np.int32)
    places = layout.first[queries, None].astype(np.int32) + number
    valid = number < layout.class_sizes[queries, None]
    items = layout.order[np.minimum(places, len(layout.order) - 1)]
    valid &= ~search.excluded.pairs(queries[:, None], items)
    places = np.where(valid, places, -1)
    if (valid.sum(axis=1) < layout.class_sizes[queries]).any():
        front = np.argsort(~valid, axis=1, kind="stable")
        places = np.take_along_axis(places, front, axis=1)
    return places[:, : layout.relevant[queries].max()]


class Gallery(NamedTuple):
    """Blocks of the sorted gallery. The last is filled up with infinitely far items."""

    y: Float[Array, "g s d"]
    offsets: Float[Array, "g s"]
    item: Int[Array, "g s"]  # its index in the gallery as the caller gave it
    ids: Int[Array, "g s"]
    groups: Int[Array, "g s"] | None


class Queries(NamedTuple):
    """Blocks of queries. The last is filled up with queries that find nothing."""

    x: Float[Array, "b t d"]
    ids: Int[Array, "b t"]
    groups: Int[Array, "b t"] | None


class Thresholds(NamedTuple):
    """What a sweep counts, for each block of queries.

    For each target it counts the items that come before it: those with a lower key and,
    of those with the same key, the ones with a lower index. In a block of which a query
    has a limit, the last row of the last pass has the limits, as if they were targets.
    """

    keys: Int[Array, "b r t"]
    item: Int[Array, "b r t"]  # the targets' indices in the gallery
    passes: Int[Array, " b"]  # over a tile, to count for all rows of the block


def make_gallery(
    excluded: Excluded,
    products: Products,
    order: Int[np.ndarray, " m"] | slice,
    columns: int,
) -> Gallery:
    """Sorts the gallery and cuts it into blocks."""
    groups = excluded.gallery_groups
    if groups is not None:
        groups = in_blocks(_int32(groups[order]), columns, -2)
    return Gallery(
        in_blocks(products.y[order], columns, 0),
        in_blocks(products.offsets[order], columns, np.inf),
        in_blocks(_int32(np.arange(len(products.y))[order]), columns, -1),
        in_blocks(_int32(excluded.gallery_ids[order]), columns, -2),
        groups,
    )


def make_queries(excluded: Excluded, x: Any, queries: Int[np.ndarray, " q"]) -> Queries:
    """Puts the ids and groups of queries beside the blocks `x` of their vectors."""
    groups, tile = excluded.groups, x.shape[1]
    if groups is not None:
        groups = in_blocks(_int32(groups[queries]), tile, -1)
    return Queries(x, in_blocks(_int32(excluded.ids[queries]), tile, -1), groups)


def tile_rows(size: int) -> int:
    """Rows of a tile, a multiple of 16: equally many in each, at most `TILE`."""
    tiles = max(1, -(-size // TILE))
    return -(-size // (16 * tiles)) * 16


def padded_rows(size: int) -> int:
    """`tile_rows` of few sizes: powers of two up to 128, and multiples of 128."""
    needed, rows = tile_rows(size), 16
    while rows < needed:
        rows += min(rows, 128)
    return min(rows, max(TILE, needed))


def padded_targets(most: int) -> int:
    """A power of two, so that searches of similar classes share a compiled program."""
    rows = TARGETS_PER_PASS
    while rows < most:
        rows *= 2
    return rows


def in_blocks(a: np.ndarray, tile: int, fill: float | int) -> Any:
    """Cuts rows into blocks [b, tile, ...]; `fill` completes the last block.

    Of no rows there is a block, too: a process may have no part of a gallery.
    """
    padding = [(0, -len(a) % tile if len(a) else tile)] + [(0, 0)] * (a.ndim - 1)
    return np.pad(a, padding, constant_values=fill).reshape(-1, tile, *a.shape[1:])


def targets_in_blocks(
    a: Int[np.ndarray, "q r"], tile: int, rows: int, fill: int
) -> Any:
    """Cuts numbers of each query's targets into blocks [b, rows, tile]."""
    a = np.pad(a, ((0, 0), (0, rows - a.shape[1])), constant_values=fill)
    return np.ascontiguousarray(in_blocks(a, tile, fill).transpose(0, 2, 1))


def _int32(a: np.ndarray) -> np.ndarray:
    return a.astype(np.int32)
