"""How items are laid out for the tiles of ``relevant_ranks``: sorted, and in blocks."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from ._inputs import Search

TILE = 1008  # rows of a tile; powers of two would fall onto one another in the caches
TARGETS_PER_PASS = 4  # targets that one pass over a tile counts for


class Queries(NamedTuple):
    """Blocks of queries; what fills up the last one has no relevant items."""

    x: Float[Array, "b t d"]
    self_index: Int[Array, "b t"]  # place in the sorted gallery, or -1
    first: Int[Array, "b t"]  # place of the class in the sorted gallery
    relevant: Int[Array, "b t"]  # number of relevant items
    indices: Int[Array, "b r t"]  # of the relevant items in the gallery as given
    passes: Int[Array, " b"]  # over a tile, to count for all targets of the block


class Gallery(NamedTuple):
    """Blocks of the sorted gallery; what fills up the last one is infinitely far."""

    y: Float[Array, "g s d"]
    offsets: Float[Array, "g s"]
    index: Int[Array, "g s"]  # in the gallery as given


def sort_by_class(search: Search) -> tuple[Int[np.ndarray, " n"], ...]:
    """The gallery's order with rare classes first, and where queries stand to it.

    That is, for each query: its own place, or -1; the first place of its class; and the
    number of items that are relevant to it.
    """
    counts = np.bincount(search.gallery_classes, minlength=len(search.labels))
    by_size = np.argsort(counts, kind="stable")
    starts = np.empty_like(counts)
    starts[by_size] = np.cumsum(counts[by_size]) - counts[by_size]
    order = np.argsort(starts[search.gallery_classes], kind="stable")
    place = np.argsort(order)
    has_own = search.self_index >= 0
    own = np.where(has_own, place[search.self_index], -1)
    alike = search.gallery_classes[search.self_index] == search.classes
    relevant = counts[search.classes] - (has_own & alike)
    return order, own, starts[search.classes], relevant


def tile_rows(size: int) -> int:
    """Rows of a tile, a multiple of 16: equally many in each, at most `TILE`."""
    tiles = -(-size // TILE)
    return -(-size // (16 * tiles)) * 16


def blocks(a: np.ndarray, tile: int, fill: float) -> np.ndarray:
    """Rows in blocks, the last of them filled up."""
    padding = [(0, -len(a) % tile)] + [(0, 0)] * (a.ndim - 1)
    return np.pad(a, padding, constant_values=fill).reshape(-1, tile, *a.shape[1:])


def make_queries(
    x, own, first, relevant, order, columns: int
) -> tuple[Queries, Int[np.ndarray, "b 2"]]:
    """Makes `Queries` of these blocks, for a gallery in this order.

    Also returns, for each block, the range of the gallery's blocks that hold what is
    relevant to it.
    """
    tile = x.shape[1]
    # A power of two, for blocks of rare and of frequent classes to share a program.
    rows = TARGETS_PER_PASS
    while rows < relevant.max():
        rows *= 2
    places = first[:, None] + np.arange(rows)
    # A query that belongs to the class is none of its own relevant items.
    within = (first <= own) & (own <= first + relevant)
    places += within[:, None] & (places >= own[:, None])
    valid = np.arange(rows) < relevant[:, None]
    indices = np.where(valid, order[np.minimum(places, len(order) - 1)], -1)
    low = blocks(np.where(valid, places, len(order)).min(axis=1), tile, len(order))
    high = blocks(np.where(valid, places, -1).max(axis=1), tile, -1)
    near = low.min(axis=1) // columns, high.max(axis=1) // columns + 1
    relevant = blocks(relevant.astype(np.int32), tile, 0)
    queries = Queries(
        x,
        blocks(own.astype(np.int32), tile, -1),
        blocks(first.astype(np.int32), tile, 0),
        relevant,
        blocks(indices.astype(np.int32), tile, -1).transpose(0, 2, 1),
        -(-relevant.max(axis=1) // TARGETS_PER_PASS),
    )
    return queries, np.stack(near, axis=1)
