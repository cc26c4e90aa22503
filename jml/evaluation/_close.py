"""Ranks among items that are so near a query that products cannot order them.

A query has a limit: all its close targets are within it, and so is every item that
could come before one of them. Sweeps count what is within the limit. Where that is
more than the relevant items known to be there, the others are found, and the distances
of all are made from differences.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ._keys import keys_up_to, order_of
from ._vectors import CHUNK, Products, Vectors

HEAVY = 256  # others within the limit, beyond which a query is left to float64 products


class Close(NamedTuple):
    """Of each of some queries: which targets are close, and the limit around them."""

    targets: Bool[np.ndarray, "q r"]
    inside: Bool[np.ndarray, "q r"]  # all that are within the limit
    any: Bool[np.ndarray, " q"]
    order: Float[np.ndarray, " q"]  # the limit, as ``distances`` gives it
    keys: Int[np.ndarray, " q"]  # and ``keys``; the lowest of all where none is close


def find_close(
    products: Products,
    queries: Int[np.ndarray, " q"],
    keys: Int[np.ndarray, "q r"],
    valid: Bool[np.ndarray, "q r"],
    *,
    nearest_only: bool,
) -> Close:
    """Finds the close targets of some queries, of which each has one at least.

    With `nearest_only`, those that may be the nearest.
    """
    base, slack = products.base[queries], products.slack[queries]
    squares = np.where(valid, order_of(keys).astype(np.float64), np.inf)
    squares += base[:, None]
    close = squares < products.close[queries, None]
    any_close = close.any(axis=1)
    if nearest_only:
        limit = np.min(squares, axis=1) + slack
        close &= squares <= limit[:, None]
    else:
        limit = np.max(np.where(close, squares, -np.inf), axis=1) + slack
    order = np.where(any_close, limit - base, -np.inf)
    limits = keys_up_to(order, keys_float(keys))
    limits = np.where(any_close, limits, np.iinfo(keys.dtype).min)
    inside = valid & (keys <= limits[:, None]) & any_close[:, None]
    return Close(close, inside, any_close, order, limits)


def keys_float(keys: np.ndarray) -> np.dtype:
    """The floats that are as wide as these keys."""
    return np.dtype(f"f{keys.dtype.itemsize}")


def collect_near(
    products: Products,
    order: Int[np.ndarray, " m"],
    queries: Int[np.ndarray, " q"],
    close: Close,
    wanted: Bool[np.ndarray, "q p"],
    part_rows: int,
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Finds the items within the limit in the wanted parts of the sorted gallery.

    Returns:
        Pairs of a row of `queries` and of an item of the gallery as given.
    """
    rows, items = [np.empty(0, int)], [np.empty(0, int)]
    for part in np.flatnonzero(wanted.any(axis=0)):
        there = order[part * part_rows : (part + 1) * part_rows]
        y, offsets = products.y[there], products.offsets[there]
        chosen = np.flatnonzero(wanted[:, part])
        step = max(1, CHUNK // len(there))
        for at in range(0, len(chosen), step):
            some = chosen[at : at + step]
            # These products are added up in another order than those of the sweep.
            limit = close.order[some] + products.slack[queries[some]]
            found = offsets - 2 * (products.x[queries[some]] @ y.T)
            row, item = np.nonzero(found <= limit[:, None])
            rows.append(some[row])
            items.append(there[item])
    return np.concatenate(rows), np.concatenate(items)


def exact_ranks(
    vectors: Vectors,
    queries: Int[np.ndarray, " q"],
    rows: Int[np.ndarray, " k"],
    items: Int[np.ndarray, " k"],
    is_target: Bool[np.ndarray, " k"],
) -> Int[np.ndarray, " h"]:
    """Ranks the items of each row by distance, then index.

    Returns:
        The ranks of the targets, row by row and in ascending order.
    """
    order = np.lexsort((items, exact_keys(vectors, queries[rows], items), rows))
    rows = rows[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    return rank[is_target[order]]


def exact_keys(
    vectors: Vectors, queries: Int[np.ndarray, " k"], items: Int[np.ndarray, " k"]
) -> Int[np.ndarray, " k"]:
    """Keys of the distances of single pairs, from differences.

    Copies of one vector are subtracted once, where there are many pairs.
    """
    if len(queries) * vectors.x.shape[1] <= CHUNK:
        return vectors.exact_keys(vectors.squared_distances(queries, items))
    copies = vectors.representatives[items]
    pairs, place = np.unique(
        queries.astype(np.int64) * len(vectors.y) + copies, return_inverse=True
    )
    squares = vectors.squared_distances(*np.divmod(pairs, len(vectors.y)))
    return vectors.exact_keys(squares)[place]
