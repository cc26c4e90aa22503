"""Ranks among items that are so near a query that products cannot order them.

A query with a close target has a limit. Every item that could come before a close
target is within it. Sweeps count what is within the limit. Where that is more than the
relevant items known to be there, the others are found, and all are ordered by
differences. What is beyond the limit is ordered by products, and comes after.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ._keys import keys_up_to, order_of
from ._search import Search
from ._vectors import CHUNK, Products

PAIRS = 2**21  # of a query and an item within its limit, kept at once, about
HEAVY = 256  # others within the limit, beyond which a query is left to float64 products


class Close(NamedTuple):
    """The targets of some queries that are within the limits, and those limits."""

    inside: Bool[np.ndarray, "q r"]
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
    """Finds the close targets of some queries, and what is within their limits.

    With `nearest_only`, the limit is about the nearest target alone.
    """
    base, slack = products.base[queries], products.slack[queries]
    squares = np.where(valid, order_of(keys).astype(np.float64), np.inf)
    squares += base[:, None]
    close = squares < products.close[queries, None]
    any_close = close.any(axis=1)
    if nearest_only:
        limit = np.min(squares, axis=1) + slack
    else:
        limit = np.max(np.where(close, squares, -np.inf), axis=1) + slack
    order = np.where(any_close, limit - base, -np.inf)
    limits = keys_up_to(order, keys.dtype)
    limits = np.where(any_close, limits, np.iinfo(keys.dtype).min)
    inside = valid & (keys <= limits[:, None]) & any_close[:, None]
    return Close(inside, any_close, order, limits)


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


def settle(
    search: Search,
    queries: Int[np.ndarray, " q"],
    index: Int[np.ndarray, "q r"],
    close: Close,
    ranks: Int[np.ndarray, "q r"],
    slots: Bool[np.ndarray, "q r"],
    others: Int[np.ndarray, " q"],
    find: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    *,
    most: float,
) -> Bool[np.ndarray, " q"]:
    """Puts the ranks of the targets within the limits into their slots.

    Args:
        search: what is searched for in what.
        queries: rows of it.
        index: their targets, in the gallery as given.
        close: which targets are within the limits.
        ranks: to be completed.
        slots: where those of targets within the limits go, in ascending order.
        others: how many other items are within each limit.
        find: finds what is within the limit of some of the queries.
        most: others, beyond which a query is left alone.

    Returns:
        Which queries are left alone.
    """
    left = close.any & (others > most)
    alone = slots & (close.any & (others <= 0))[:, None]
    ranks[alone] = (np.cumsum(slots, axis=1) - 1)[alone]
    unsure = np.flatnonzero(close.any & (others > 0) & ~left)
    pairs = np.cumsum(others[unsure] + close.inside[unsure].sum(axis=1))
    parts = np.split(unsure, np.flatnonzero(np.diff(pairs // PAIRS)) + 1)
    for part in parts if len(unsure) else []:
        chosen = np.zeros(len(queries), bool)
        chosen[part] = True
        rows, items = find(chosen)
        known = search.classes[queries[rows]] == search.gallery_classes[items]
        known |= search.excluded.pairs(queries[rows], items)
        row, target = np.nonzero(close.inside & chosen[:, None])
        rows = np.concatenate([rows[~known], row])
        items = np.concatenate([items[~known], index[row, target]])
        is_target = np.arange(len(rows)) >= len(rows) - len(row)
        keys = search.vectors.exact_keys(queries[rows], items)
        order = np.lexsort((items, keys, rows))
        rows, is_target = rows[order], is_target[order]
        start = np.searchsorted(rows, rows)
        targets_before = np.cumsum(is_target) - is_target
        targets_before -= targets_before[start]
        others_before = np.arange(len(rows)) - start - targets_before
        # `find` rounds anew, and may find more than was counted, beyond the limit.
        before = targets_before + np.minimum(others_before, others[rows])
        ranks[slots & chosen[:, None]] = before[is_target]
    return left
