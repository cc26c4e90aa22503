"""Groups of items that are near each other."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Float64, Int, Int32

from ._near_pairs import MOST_PAIRS, NearPairs, near_pairs
from ._ranking import Progress, make_vectors


class Duplicates(NamedTuple):
    """Which items have others near them, and which is the nearest."""

    # The number of each item's group, from 0, in the order of the groups' smallest
    # distances; -1: no other item is near.
    groups: Int32[np.ndarray, " n"]
    nearest: Int32[np.ndarray, " n"]  # each item's nearest other item, or -1
    distances: Float64[np.ndarray, " n"]  # to that, or infinity


def find_duplicates(
    embeddings: Float[Array | np.ndarray, "n d"],
    *,
    threshold: float | None,
    metric: str = "euclidean",
    max_pairs: int = MOST_PAIRS,
    progress: Progress | None = None,
) -> Duplicates:
    """Groups of near items: the connected components of all near pairs.

    Two items are in one group if a chain of near pairs connects them; the ends of a
    long chain may be far apart. Pairs are those of ``near_pairs``. Of rows that are
    equal, bit for bit, one is compared with the others, so that there may be any number
    of them.

    Args:
        embeddings: one row per item.
        threshold: the largest distance of a near pair; None for pairs that are equal up
            to rounding, as ``near_pairs`` defines it.
        metric: "euclidean" or "cosine".
        max_pairs: how many near pairs there may be of rows that differ.
        progress: wraps the loop over parts of the matrix, to display it.

    Returns:
        Each item's group and nearest other item. At equal distances that is the one
        with the lowest index.

    Raises:
        UserError: there are more than `max_pairs`.
        ValueError: as for ``near_pairs``.

    Example:
        >>> x = np.float32([[0], [8], [1], [3], [8]])
        >>> found = find_duplicates(x, threshold=2.0)
        >>> found.groups, found.nearest
        (array([1, 0, 1, 1, 0], dtype=int32), array([2, 4, 0, 2, 1], dtype=int32))
        >>> found.distances
        array([1., 0., 1., 2., 0.])
    """
    vectors = make_vectors("find_duplicates", embeddings, None, metric)
    x, first = vectors.x, vectors.representatives
    if metric == "cosine":  # rows of zeros are at distance 1 of each other
        first = np.where(x.any(axis=1), first, np.arange(len(x)))
    different = np.flatnonzero(first == np.arange(len(x)))
    pairs = near_pairs(
        x if len(different) == len(x) else x[different],
        threshold=threshold,
        metric=metric,
        max_pairs=max_pairs,
        progress=progress,
    )
    place = np.searchsorted(different, first)  # of each item among those that differ
    nearest, distances = _nearest_of_pairs(pairs, len(different))
    nearest = np.where(nearest < 0, -1, different[nearest])[place]
    distances = distances[place]
    copies = _other_copies(first)
    at_zero = np.where(distances == 0, nearest, len(x))  # in another way than a copy
    nearest = np.where(copies < 0, nearest, np.minimum(copies, at_zero))
    distances[copies >= 0] = 0
    groups = _connected(pairs, len(different))[place]
    numbers = _numbered(groups, distances)
    return Duplicates(numbers, nearest.astype(np.int32), distances)


def _other_copies(first: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The first other row that equals each row, or -1."""
    copies = np.where(first < np.arange(len(first)), first, -1)
    later = np.flatnonzero(copies >= 0)[::-1]
    copies[first[later]] = later  # of several, the last assignment stays: the first row
    return copies


def _nearest_of_pairs(
    pairs: NearPairs, count: int
) -> tuple[Int[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Each item's nearest other, of several the first; -1 and infinity: none."""
    distances, nearest = np.full(count, np.inf), np.full(count, count)
    ends = (pairs.rows, pairs.columns), (pairs.columns, pairs.rows)
    for items, _ in ends:
        np.minimum.at(distances, items, pairs.distances)
    for items, others in ends:
        at_least = pairs.distances == distances[items]
        np.minimum.at(nearest, items[at_least], others[at_least])
    return np.where(nearest == count, -1, nearest), distances


def _connected(pairs: NearPairs, count: int) -> Int[np.ndarray, " n"]:
    """The connected component of each item."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.ones(len(pairs.rows), bool), (pairs.rows, pairs.columns)
    graph = coo_array(edges, shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _numbered(
    components: Int[np.ndarray, " n"], distances: Float64[np.ndarray, " n"]
) -> Int32[np.ndarray, " n"]:
    """Numbers the components of several items by their smallest distances."""
    count = components.max() + 1
    sizes, smallest = np.bincount(components), np.full(count, np.inf)
    np.minimum.at(smallest, components, distances)
    _, first = np.unique(components, return_index=True)
    several = np.flatnonzero(sizes > 1)
    order = several[np.lexsort((first[several], smallest[several]))]
    numbers = np.full(count, -1, np.int32)
    numbers[order] = np.arange(len(order))
    return numbers[components]
