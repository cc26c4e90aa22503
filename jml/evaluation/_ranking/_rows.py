"""Ranks of many targets in a row: the row is sorted, and they are looked up in it."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Int

# Relevant items of a query, from which sorting a row is faster than counting in it.
SORT_ABOVE = 256
ROWS = 16  # of a task of one thread


def ranks_by_sorting(
    keys: Int[np.ndarray, "q n"],
    index: Int[np.ndarray, " n"],
    places: Int[np.ndarray, "q r"],
    none: int,
) -> Int[np.ndarray, "q r"]:
    """How many entries of each row come before each of its targets, in ascending order.

    Entries are in the order of their keys and, of equal ones, of `index`. NumPy's sort
    and search release the GIL, so that threads share the rows.

    Args:
        keys: of the whole gallery.
        index: the place of each column in the gallery as given.
        places: the columns of the targets; -1 for none,
        none: which gets this rank.
    """
    ranks = np.empty(places.shape, np.int32)

    def work(at: int) -> None:
        some = slice(at, at + ROWS)
        in_order = np.sort(keys[some], axis=1)
        for row, line, these, out in zip(
            keys[some], in_order, places[some], ranks[some], strict=True
        ):
            targets = np.sort(row[these[these >= 0]])
            found = np.searchsorted(line, targets)
            _settle_ties(row, line, index, these, targets, found)
            out[: len(found)], out[len(found) :] = found, none

    with ThreadPoolExecutor(_cores()) as pool:
        list(pool.map(work, range(0, len(keys), ROWS)))
    return ranks


def _cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def nearest_rank(
    keys: Int[np.ndarray, "q n"],
    index: Int[np.ndarray, " n"],
    places: Int[np.ndarray, "q r"],
    none: int,
) -> Int[np.ndarray, "q 1"]:
    """How many entries of each row come before the first of its targets.

    Arguments are those of `ranks_by_sorting`; nothing is sorted.
    """
    ranks = np.full((len(keys), 1), none, np.int32)
    for row, these, out in zip(keys, places, ranks, strict=True):
        these = these[these >= 0]
        if len(these):
            lowest = row[these].min()
            first = index[these[row[these] == lowest]].min()
            tied = index[np.flatnonzero(row == lowest)]
            out[0] = np.count_nonzero(row < lowest) + np.count_nonzero(tied < first)
    return ranks


def _settle_ties(row, in_order, index, places, targets, found) -> None:
    """Corrects the ranks of targets whose key other entries have, too."""
    after = in_order[np.minimum(found + 1, len(in_order) - 1)]
    tied = np.unique(targets[(after == targets) & (found + 1 < len(in_order))])
    if not len(tied):
        return
    # The last 16 bits of a key rule out most entries, without a search.
    low = np.zeros(2**16, bool)
    low[_last_bits(tied)] = True
    maybe = np.flatnonzero(low.take(_last_bits(row)))
    if len(maybe) > len(row) / 8 and row.dtype == np.int32:
        both = (row.astype(np.int64) << 32) + index  # ties are no ties by both
        targets = np.sort(both[places[places >= 0]])
        found[:] = np.searchsorted(np.sort(both), targets)
        return
    maybe = maybe[np.isin(row[maybe], tied)]
    maybe = maybe[np.lexsort((index[maybe], row[maybe]))]
    is_target = np.zeros(len(row), bool)
    is_target[places[places >= 0]] = True
    is_target = is_target[maybe]
    number = np.arange(len(maybe)) - np.searchsorted(row[maybe], row[maybe])
    at = np.searchsorted(targets, row[maybe][is_target])
    # Targets of one key stand side by side, and get their ranks in order.
    at += np.arange(len(at)) - np.searchsorted(at, at)
    found[at] += number[is_target]


def _last_bits(keys: np.ndarray) -> np.ndarray:
    little = keys.astype(keys.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).view("<u2")[:: keys.dtype.itemsize // 2]
