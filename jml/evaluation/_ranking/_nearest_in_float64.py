"""The nearest items of queries for which products in float32 are not precise enough."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from jaxtyping import Integer as Int

from ._copies import copies_before
from ._excluded import Excluded
from ._reach import Errors, errors_of, reach
from ._sweeps import Progress
from ._vectors import CHUNK, Vectors

ITEMS = 8192  # most items of a chunk


class Nearest(NamedTuple):
    """The nearest items of some queries, and their ``squared_distances``."""

    items: Int[np.ndarray, "q k"]
    squares: Float[np.ndarray, "q k"]


def nearest_in_float64(
    vectors: Vectors,
    excluded: Excluded,
    queries: Int[np.ndarray, " q"],
    k: int,
    left_out: int,
    progress: Progress,
) -> Int[np.ndarray, "q k"]:
    """The k nearest of all items: candidates by float64 products, then differences.

    They are settled chunk by chunk, so that a gallery full of ties takes no more memory
    than another. Each query leaves out at most `left_out` items.
    """
    items = np.arange(len(vectors.y))
    # An item is not among the nearest if so many copies of it come before it.
    items = items[copies_before(vectors.representatives) < k + left_out]
    columns = min(len(items), ITEMS)
    rows = max(1, CHUNK // columns)
    shape = len(queries), k
    found = Nearest(np.full(shape, -1), np.full(shape, np.inf))
    errors = errors_of(vectors.x.shape[1], np.dtype(np.float64), vectors.dtype)
    largest = 0.0
    for at in progress(range(0, len(items), columns)):
        chunk = items[at : at + columns]
        y = vectors.centred(-1, chunk, np.dtype(np.float64))
        norms = vectors.squared_norms(y)
        largest = max(largest, float(norms.max()))
        for first in range(0, len(queries), rows):
            block = slice(first, first + rows)
            x = vectors.centred(0, queries[block], np.dtype(np.float64))
            base = vectors.squared_norms(x)
            squares = norms - 2 * (x @ y.T)
            if left_out:
                out = excluded.pairs(queries[block][:, None], chunk)
                squares[out] = np.inf
            so_far = Nearest(found.items[block], found.squares[block])
            inside = _inside(squares, so_far.squares, base, largest, errors)
            row, column = np.nonzero(inside)
            pairs = row, chunk[column]
            _improve(vectors, queries[block], so_far, pairs)
    return found.items


def _inside(
    squares: Float[np.ndarray, "b c"],
    so_far: Float[np.ndarray, "b k"],
    base: Float[np.ndarray, " b"],
    largest: float,
    errors: Errors,
) -> Bool[np.ndarray, "b c"]:
    """Which items of a chunk may be among the nearest."""
    k, most = so_far.shape[1], np.finfo(np.float64).max
    limit = reach(so_far.max(axis=1) - base, base, largest, errors)
    inside = squares <= np.minimum(limit, most)[:, None]
    many = np.flatnonzero(np.count_nonzero(inside, axis=1) > k)
    if len(many):
        some = squares if len(many) == len(squares) else squares[many]
        kth = np.partition(some, k - 1, axis=1)[:, k - 1]
        lower = reach(kth, base[many], largest, errors)
        inside[many] &= some <= lower[:, None]
    return inside


def _improve(
    vectors: Vectors,
    queries: Int[np.ndarray, " b"],
    so_far: Nearest,
    pairs: tuple[Int[np.ndarray, " p"], Int[np.ndarray, " p"]],
) -> None:
    """Puts the nearest of these pairs and of those so far in their place."""
    k, (row, item) = so_far.items.shape[1], pairs
    squares = vectors.squared_distances(queries[row], item)
    if (so_far.items >= 0).any():
        changed = np.unique(row)
        row = np.concatenate([np.repeat(changed, k), row])
        item = np.concatenate([so_far.items[changed].ravel(), item])
        squares = np.concatenate([so_far.squares[changed].ravel(), squares])
    order = np.lexsort((item, vectors.keys_of(squares), row))
    row, item, squares = row[order], item[order], squares[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    near = rank < k
    for whole, part in zip(so_far, (item, squares), strict=True):
        whole[row[near], rank[near]] = part[near]


def first_of_rows(
    row: Int[np.ndarray, " p"],
    keys: Int[np.ndarray, " p"],
    item: Int[np.ndarray, " p"],
    k: int,
) -> Int[np.ndarray, "r k"]:
    """The places of each row's first k by key and item; rows ascend, all have k."""
    order = np.lexsort((item, keys, row))
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    return order[starts[:, None] + np.arange(k)]
