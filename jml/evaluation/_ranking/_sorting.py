"""Ranks in whole rows of keys: the row is sorted, and the targets are looked up."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Integer as Int

from jml._threads import cores

ROWS = 16  # that a thread sorts in one task


def ranks_by_sorting(
    keys: Int[np.ndarray, "q m"],
    items: Int[np.ndarray, " m"],
    places: Int[np.ndarray, "q r"],
    none: int,
) -> Int[np.ndarray, "q r"]:
    """How many entries of each row come before each of its targets, in ascending order.

    An entry comes before another with a higher key or, at equal keys, a higher index.
    NumPy releases the GIL while it sorts and searches, so threads share the rows.

    Args:
        keys: keys of the whole gallery, for each query.
        items: the gallery item of each column.
        places: the columns of the targets; -1 for no target.
        none: the rank that stands for no target.
    """
    ranks = np.empty(places.shape, np.int32)

    def work(at: int) -> None:
        task = slice(at, at + ROWS)
        in_order = np.sort(keys[task], axis=1)
        for row, sorted_row, columns, out in zip(
            keys[task], in_order, places[task], ranks[task], strict=True
        ):
            targets = np.sort(row[columns[columns >= 0]])
            before = np.searchsorted(sorted_row, targets)
            _order_ties(row, sorted_row, items, columns, targets, before)
            out[: len(before)], out[len(before) :] = before, none

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, range(0, len(keys), ROWS)))
    return ranks


def nearest_rank(
    keys: Int[np.ndarray, "q m"],
    items: Int[np.ndarray, " m"],
    places: Int[np.ndarray, "q r"],
    none: int,
) -> Int[np.ndarray, "q 1"]:
    """How many entries of each row come before the first of its targets.

    Arguments are those of `ranks_by_sorting`. Nothing is sorted.
    """
    ranks = np.full((len(keys), 1), none, np.int32)
    for row, columns, out in zip(keys, places, ranks, strict=True):
        columns = columns[columns >= 0]
        if len(columns):
            lowest = row[columns].min()
            first = items[columns[row[columns] == lowest]].min()
            tied = items[np.flatnonzero(row == lowest)]
            out[0] = np.count_nonzero(row < lowest) + np.count_nonzero(tied < first)
    return ranks


def count_in_rows(
    keys: Int[np.ndarray, "q m"],
    items: Int[np.ndarray, " m"],
    target_keys: Int[np.ndarray, "q r"],
    targets: Int[np.ndarray, "q r"],
) -> Int[np.ndarray, "q r"]:
    """How many entries of each row come before targets that need not be among them.

    Args:
        keys: keys of a part of the gallery, for each query.
        items: the gallery item of each column.
        target_keys: the keys of the targets.
        targets: their gallery items, counted as `items` are; they may be negative.
    """
    counts = np.empty(targets.shape, np.int32)

    def work(at: int) -> None:
        task = slice(at, at + ROWS)
        for row, row_keys, row_targets, out in zip(
            keys[task], target_keys[task], targets[task], counts[task], strict=True
        ):
            if row.dtype == np.int32:  # key and index in one number
                both, sought = (
                    (key.astype(np.int64) << 32) + item
                    for key, item in ((row, items), (row_keys, row_targets))
                )
                out[:] = np.searchsorted(np.sort(both), sought)
                continue
            order = np.lexsort((items, row))
            low = np.searchsorted(row[order], row_keys)
            high = np.searchsorted(row[order], row_keys, side="right")
            out[:] = low
            for n in np.flatnonzero(low < high):
                tied = items[order[low[n] : high[n]]]
                out[n] += np.searchsorted(tied, row_targets[n])

    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(work, range(0, len(keys), ROWS)))
    return counts


def _order_ties(
    row: Int[np.ndarray, " m"],
    sorted_row: Int[np.ndarray, " m"],
    items: Int[np.ndarray, " m"],
    columns: Int[np.ndarray, " r"],
    targets: Int[np.ndarray, " v"],
    before: Int[np.ndarray, " v"],
) -> None:
    """Corrects, in place, the ranks of targets whose key other entries share.

    Args:
        row: the keys.
        sorted_row: the keys in ascending order.
        items: the gallery item of each key.
        columns: where in the row the targets are; -1 for no target.
        targets: the keys of the targets, in ascending order.
        before: their ranks, as if a target came before all entries with its key.
    """
    after = sorted_row[np.minimum(before + 1, len(sorted_row) - 1)]
    tied = np.unique(targets[(after == targets) & (before + 1 < len(sorted_row))])
    if not len(tied):
        return
    # The last 16 bits of a key rule out most entries without a search.
    low = np.zeros(2**16, bool)
    low[_last_bits(tied)] = True
    candidates = np.flatnonzero(low.take(_last_bits(row)))
    if len(candidates) > len(row) / 8 and row.dtype == np.int32:
        unique = (row.astype(np.int64) << 32) + items  # key and index: no ties
        targets = np.sort(unique[columns[columns >= 0]])
        before[:] = np.searchsorted(np.sort(unique), targets)
        return
    candidates = candidates[np.isin(row[candidates], tied)]
    candidates = candidates[np.lexsort((items[candidates], row[candidates]))]
    is_target = np.zeros(len(row), bool)
    is_target[columns[columns >= 0]] = True
    is_target = is_target[candidates]
    tied_keys = row[candidates]
    number = np.arange(len(tied_keys)) - np.searchsorted(tied_keys, tied_keys)
    at = np.searchsorted(targets, tied_keys[is_target])
    # Targets with one key stand side by side, and get their ranks in order.
    at += np.arange(len(at)) - np.searchsorted(at, at)
    before[at] += number[is_target]


def _last_bits(keys: Int[np.ndarray, " k"]) -> np.ndarray:
    little = keys.astype(keys.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).view("<u2")[:: keys.dtype.itemsize // 2]
