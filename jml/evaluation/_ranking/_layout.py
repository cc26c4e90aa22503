"""How items are laid out for the tiles of ``relevant_ranks``: sorted, and in blocks."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from ._excluded import Excluded
from ._search import Search
from ._vectors import Products

TILE = 1008  # rows of a tile; powers of two would fall onto one another in the caches
TARGETS_PER_PASS = 4  # targets that one pass over a tile counts for
PARTS = 64  # of the gallery, in each of which near items are counted apart, at most


class Sorted(NamedTuple):
    """The gallery in the order of its classes, the rarest first."""

    order: Int[np.ndarray, " m"]  # from places there to places in the gallery as given
    first: Int[np.ndarray, " n"]  # place of each query's class there
    members: Int[np.ndarray, " n"]  # how many items that class has,
    relevant: Int[np.ndarray, " n"]  # and how many of them are not left out


def sort_by_class(search: Search) -> Sorted:
    """Sorts the gallery, and finds where each query's class stands."""
    counts = np.bincount(search.gallery_classes, minlength=len(search.labels))
    by_size = np.argsort(counts, kind="stable")
    starts = np.empty_like(counts)
    starts[by_size] = np.cumsum(counts[by_size]) - counts[by_size]
    order = np.argsort(starts[search.gallery_classes], kind="stable")
    members = counts[search.classes]
    out = search.excluded.count_within(search.classes, search.gallery_classes)
    return Sorted(order, starts[search.classes], members, members - out)


def relevant_places(
    search: Search, laid: Sorted, queries: Int[np.ndarray, " q"]
) -> Int[np.ndarray, "q r"]:
    """Where in the sorted gallery the relevant items of some queries are, else -1."""
    number = np.arange(laid.members[queries].max(), dtype=np.int32)
    places = laid.first[queries, None].astype(np.int32) + number
    valid = number < laid.members[queries, None]
    items = laid.order[np.minimum(places, len(laid.order) - 1)]
    valid &= ~search.excluded.pairs(queries[:, None], items)
    places = np.where(valid, places, -1)
    if (valid.sum(axis=1) < laid.members[queries]).any():
        front = np.argsort(~valid, axis=1, kind="stable")
        places = np.take_along_axis(places, front, axis=1)
    return places[:, : laid.relevant[queries].max()]


class Gallery(NamedTuple):
    """Blocks of the sorted gallery; what fills up the last one is infinitely far."""

    y: Float[Array, "g s d"]
    offsets: Float[Array, "g s"]
    index: Int[Array, "g s"]  # in the gallery as given
    ids: Int[Array, "g s"]
    groups: Int[Array, "g s"] | None


class Queries(NamedTuple):
    """Blocks of queries; what fills up the last one finds nothing."""

    x: Float[Array, "b t d"]
    ids: Int[Array, "b t"]
    groups: Int[Array, "b t"] | None


class Thresholds(NamedTuple):
    """What is counted for each query of a block: items before each of these."""

    keys: Int[Array, "b r t"]
    index: Int[Array, "b r t"]  # items of the same key are before, if their index is
    passes: Int[Array, " b"]  # over a tile, to count for all of the block
    near: Int[Array, "b t"]  # a key; items up to it are counted by parts of the gallery
    any_near: Int[Array, " b"]  # 1 where a query of the block has one


def make_gallery(
    excluded: Excluded,
    products: Products,
    order: Int[np.ndarray, " m"] | slice,
    columns: int,
) -> Gallery:
    """Sorts the gallery and cuts it into blocks."""
    groups = excluded.gallery_groups
    if groups is not None:
        groups = blocks(_int32(groups[order]), columns, -2)
    return Gallery(
        blocks(products.y[order], columns, 0),
        blocks(products.offsets[order], columns, np.inf),
        blocks(_int32(np.arange(len(products.y))[order]), columns, -1),
        blocks(_int32(excluded.gallery_ids[order]), columns, -2),
        groups,
    )


def make_queries(
    excluded: Excluded, x: Float[Array, "b t d"], queries: Int[np.ndarray, " q"]
) -> Queries:
    """Puts what is to know of some queries beside their blocks."""
    groups, tile = excluded.groups, x.shape[1]
    if groups is not None:
        groups = blocks(_int32(groups[queries]), tile, -1)
    return Queries(x, blocks(_int32(excluded.ids[queries]), tile, -1), groups)


def tile_rows(size: int) -> int:
    """Rows of a tile, a multiple of 16: equally many in each, at most `TILE`."""
    tiles = max(1, -(-size // TILE))
    return -(-size // (16 * tiles)) * 16


def padded_targets(most: int) -> int:
    """A power of two, for blocks of rare and of frequent classes to share a program."""
    rows = TARGETS_PER_PASS
    while rows < most:
        rows *= 2
    return rows


def blocks(a: np.ndarray, tile: int, fill: float) -> np.ndarray:
    """Rows in blocks, the last of them filled up."""
    padding = [(0, -len(a) % tile)] + [(0, 0)] * (a.ndim - 1)
    return np.pad(a, padding, constant_values=fill).reshape(-1, tile, *a.shape[1:])


def across(a: Int[np.ndarray, "q r"], tile: int, rows: int, fill) -> np.ndarray:
    """Blocks [b, rows, tile] of what is known of each target of each query."""
    a = np.pad(a, ((0, 0), (0, rows - a.shape[1])), constant_values=fill)
    return np.ascontiguousarray(blocks(a, tile, fill).transpose(0, 2, 1))


def _int32(a: np.ndarray) -> np.ndarray:
    return a.astype(np.int32)
