"""Items whose label their neighbours contradict: the label may be a mistake."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ._contents import SearchResults

MAX_SUSPICIOUS = 24  # items shown
DOUBTFUL = 0.5  # share of neighbours with the item's label, below which it is shown


class Suspicious(NamedTuple):
    """An item of which few neighbours have its label."""

    item: int
    neighbours: tuple[int, ...]  # the nearest first
    same: int  # how many of these have the item's label
    other: int  # the most frequent class among the others
    others: int  # how many of the neighbours are of that class


def suspicious(
    results: SearchResults, classes: Int[np.ndarray, " n"]
) -> list[Suspicious]:
    """The items of the lowest share of neighbours with their label, the lowest first.

    The share is that of an item's nearest neighbours: of all that were searched for, or
    of as many as have its label where these are fewer, so that an item of a small class
    can reach a share of 1. Of equal shares the lower average precision comes first.

    Args:
        results: items, and their nearest neighbours.
        classes: of all items, numbered through.
    """
    counted = np.minimum(results.relevant, results.neighbours.shape[1])
    within = np.arange(results.neighbours.shape[1]) < counted[:, None]
    same = np.sum(results.right & within, axis=1)
    share = same / np.maximum(counted, 1)
    order = np.lexsort((results.precision, share))
    rows = order[(share < DOUBTFUL)[order]][:MAX_SUSPICIOUS]
    found = []
    for row in rows.tolist():
        near = results.neighbours[row, : counted[row]]
        wrong = classes[near[~results.right[row, : counted[row]]]]
        distinct, first, times = np.unique(wrong, return_index=True, return_counts=True)
        top = np.lexsort((first, -times))[0]  # of equally many the nearer
        found.append(
            Suspicious(
                int(results.queries[row]),
                tuple(near.tolist()),
                int(same[row]),
                int(distinct[top]),
                int(times[top]),
            )
        )
    return found
