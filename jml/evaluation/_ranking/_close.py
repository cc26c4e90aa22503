"""Ranks among items so near a query that products cannot order them.

A target is close if its distance is below what products resolve. A query with a close
target has a limit: every item that could come before a close target is within it.
Sweeps count the items within the limit. If more items are within the limit than its
known targets, the rest are located, and all are ranked by differences. Items beyond the
limit come after, in the order of products.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from jaxtyping import Integer as Int

from ._keys import keys_up_to, squares_of_keys
from ._search import Search
from ._vectors import CHUNK, Products

PAIRS = 2**21  # about as many of a query and an item within its limit are kept at once
HEAVY = 256  # other items within the limit, above which float64 products rank a query


class Close(NamedTuple):
    """The limits of some queries, and which of their targets are within them."""

    inside: Bool[np.ndarray, "q r"]
    any: Bool[np.ndarray, " q"]  # whether the query has a limit
    squares: Float[np.ndarray, " q"]  # the limit, as ``partial_squares`` gives it
    keys: Int[np.ndarray, " q"]  # its key; the lowest of all where there is no limit


def most_others(products: Products) -> float | int:
    """How many items besides the targets may be within a limit to be settled here."""
    return np.inf if products.x.dtype == np.float64 else HEAVY


def find_close(
    products: Products,
    queries: Int[np.ndarray, " q"],
    keys: Int[np.ndarray, "q r"],
    valid: Bool[np.ndarray, "q r"],
    *,
    nearest_only: bool,
) -> Close:
    """Finds the close targets of some queries, and the limits that follow from them.

    Args:
        products: what the keys were made of.
        queries: which queries.
        keys: the keys of their targets.
        valid: which of these are targets.
        nearest_only: limit the search to what could come before the nearest target.
    """
    base, slack = products.base[queries], products.slack[queries]
    squares = np.where(valid, squares_of_keys(keys).astype(np.float64), np.inf)
    squares += base[:, None]
    close = squares < products.close[queries, None]
    any_close = np.any(close, axis=1)
    if nearest_only:
        limit = np.min(squares, axis=1) + slack
    else:
        limit = np.max(np.where(close, squares, -np.inf), axis=1) + slack
    limit = np.where(any_close, limit - base, -np.inf)
    limit_keys = keys_up_to(limit, keys.dtype)
    limit_keys = np.where(any_close, limit_keys, np.iinfo(keys.dtype).min)
    inside = valid & (keys <= limit_keys[:, None]) & any_close[:, None]
    return Close(inside, any_close, limit, limit_keys)


def collect_near(
    products: Products,
    order: Int[np.ndarray, " m"],
    queries: Int[np.ndarray, " q"],
    close: Close,
    parts: Bool[np.ndarray, "q p"],
    part_rows: int,
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Finds the items within the limits.

    Args:
        products: of queries and gallery.
        order: the sorted gallery.
        queries: which queries.
        close: their limits.
        parts: the parts of the sorted gallery to search for each query.
        part_rows: how many items a part has.

    Returns:
        Pairs: a row of `queries`, and an index in the gallery.
    """
    rows, items = [np.empty(0, int)], [np.empty(0, int)]
    for part in np.flatnonzero(parts.any(axis=0)):
        in_part = order[part * part_rows : (part + 1) * part_rows]
        y, offsets = products.y[in_part], products.offsets[in_part]
        chosen = np.flatnonzero(parts[:, part])
        step = max(1, CHUNK // len(in_part))
        for at in range(0, len(chosen), step):
            chunk = chosen[at : at + step]
            # These products are summed in another order than those of the sweep, so
            # they may differ by a rounding error: the limit grows by the slack.
            limit = close.squares[chunk] + products.slack[queries[chunk]]
            squares = offsets - 2 * (products.x[queries[chunk]] @ y.T)
            row, item = np.nonzero(squares <= limit[:, None])
            rows.append(chunk[row])
            items.append(in_part[item])
    return np.concatenate(rows), np.concatenate(items)


def settle(
    search: Search,
    queries: Int[np.ndarray, " q"],
    targets: Int[np.ndarray, "q r"],
    close: Close,
    ranks: Int[np.ndarray, "q r"],
    slots: Bool[np.ndarray, "q r"],
    others: Int[np.ndarray, " q"],
    find: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    *,
    most: float | int,
) -> Bool[np.ndarray, " q"]:
    """Ranks the targets within the limits, in place.

    Args:
        search: queries and gallery.
        queries: which queries.
        targets: their targets, as indices in the gallery.
        close: the limits, and which targets are within them.
        ranks: ranks of the targets, to be completed.
        slots: where in `ranks` those of targets within the limits go, ascending.
        others: how many other items are within each limit.
        find: takes a mask of `queries`; returns all items within their limits, as
            ``collect_near`` does.
        most: leave out queries with more `others` than this.

    Returns:
        Which queries were left out.
    """
    unsettled = close.any & (others > most)
    alone = slots & (close.any & (others <= 0))[:, None]
    ranks[alone] = (np.cumsum(slots, axis=1) - 1)[alone]
    unsure = np.flatnonzero(close.any & (others > 0) & ~unsettled)
    pairs = np.cumsum(others[unsure] + close.inside[unsure].sum(axis=1))
    parts = np.split(unsure, np.flatnonzero(np.diff(pairs // PAIRS)) + 1)
    for part in parts if len(unsure) else []:
        chosen = np.zeros(len(queries), bool)
        chosen[part] = True
        within = find(chosen)
        before = _rank_by_differences(
            search, queries, targets, close.inside & chosen[:, None], within, others
        )
        ranks[slots & chosen[:, None]] = before
    return unsettled


def _rank_by_differences(
    search: Search,
    queries: Int[np.ndarray, " q"],
    targets: Int[np.ndarray, "q r"],
    inside: Bool[np.ndarray, "q r"],
    within: tuple[np.ndarray, np.ndarray],
    others: Int[np.ndarray, " q"],
) -> Int[np.ndarray, " k"]:
    """The ranks of the targets `inside`, query by query and in ascending order."""
    rows, items = within
    known = search.classes[queries[rows]] == search.gallery_classes[items]
    known |= search.excluded.pairs(queries[rows], items)
    row, target = np.nonzero(inside)
    keys = np.concatenate(
        [
            search.vectors.exact_keys(queries[rows[~known]], items[~known]),
            search.vectors.exact_keys_of_all(queries[row], targets[row, target]),
        ]
    )
    rows = np.concatenate([rows[~known], row])
    items = np.concatenate([items[~known], targets[row, target]])
    is_target = np.arange(len(rows)) >= len(rows) - len(row)
    order = np.lexsort((items, keys, rows))
    rows, is_target = rows[order], is_target[order]
    start = np.searchsorted(rows, rows)
    targets_before = np.cumsum(is_target) - is_target
    targets_before -= targets_before[start]
    others_before = (np.arange(len(rows)) - start - targets_before)[is_target]
    # All processes have the same targets, in one order, and count their other items.
    others_before = search.vectors.combined(np.add, others_before)
    # Its own rounding lets `find` return items beyond the limit, which the sweep did
    # not count. They come last, so the sweep's count bounds the rank.
    at_most = others[rows[is_target]]
    return targets_before[is_target] + np.minimum(others_before, at_most)
