"""k-means, with each item in the cluster of its exact nearest centre."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from jml._evaluation_limits import LARGEST_SEED
from jml.evaluation._inputs import (
    check_at_most,
    check_neighbour_count,
    checked_embeddings,
)
from jml.evaluation._ranking import Vectors, first_dtype, nearest_item, width

from ._lloyd import lloyd

COARSE = 1e-3  # fraction of the items that rounding may assign to a farther centre


class Clustering(NamedTuple):
    """The result of k-means."""

    clusters: Int[np.ndarray, " n"]  # of each item, from 0
    centres: Float[np.ndarray, "k d"]
    inertia: float  # sum of the squared distances to the centres
    iterations: int


def kmeans(
    embeddings: Float[Array | np.ndarray, "n d"],
    k: int,
    *,
    seed: int = 0,
    max_iterations: int = 300,
    tolerance: float | int = 1e-4,
) -> Clustering:
    """Lloyd's algorithm from a greedy k-means++ start.

    Each centre after the first is the best of a few items drawn in proportion to their
    squared distance from the centres so far (Arthur and Vassilvitskii, 2007). A cluster
    that loses all its items starts again at the item farthest from its centre.

    Args:
        embeddings: one row per item.
        k: number of clusters, at most the number of items.
        seed: seed of the start.
        max_iterations: largest number of iterations.
        tolerance: iterations end when the sum of the centres' squared movements is less
            than this fraction of the mean variance of a column.

    Returns:
        The clusters, with centres and inertia of the last assignment. Each item is in
        the cluster of its nearest centre, by distances as exact as ``evaluate``'s.

    Raises:
        ValueError: embeddings of the wrong shape or dtype, an entry that is NaN or
            infinite, or a `k` out of range.

    Example:
        >>> x = np.float32([[0], [1], [10], [11]])
        >>> result = kmeans(x, 2)
        >>> result.inertia, bool(result.clusters[0] == result.clusters[1])
        (1.0, True)
    """
    items = checked_embeddings("kmeans", "embeddings", embeddings)
    check_neighbour_count("kmeans", "`k`", k, len(items))
    check_at_most("kmeans", LARGEST_SEED, seed=seed)
    narrow = first_dtype(items.dtype)
    limits = max_iterations, tolerance
    result, coarse = _cluster(items, narrow, k, seed, *limits)
    if coarse and narrow != np.float64:
        result, _ = _cluster(items, np.dtype(np.float64), k, seed, *limits)
    return result


def _cluster(
    items: Float[np.ndarray, "n d"],
    dtype: np.dtype,
    k: int,
    seed: int,
    max_iterations: int,
    tolerance: float | int,
) -> tuple[Clustering, bool]:
    """Clusters in this dtype, then assigns each item to its exact nearest centre.

    Returns:
        The clustering, and whether the exact assignment differs for more than a few
        items. Then centres are close together and far from the mean, and products in
        this dtype have confused them in every iteration.
    """
    with width(dtype):
        assigned, centres, iterations = lloyd(
            items, dtype, k, seed, max_iterations, tolerance
        )
    vectors = Vectors(items, centres, "euclidean")
    clusters = nearest_item(vectors)
    squares = vectors.squared_distances(np.arange(len(items)), clusters)
    other = np.flatnonzero(assigned != clusters)
    farther = vectors.squared_distances(other, assigned[other])
    coarse = np.sum(farther > (1 + 1e-4) * squares[other]) > COARSE * len(items)
    with np.errstate(over="ignore"):  # squares beyond float64 become infinite
        inertia = np.ldexp(squares.sum(), 2 * vectors.exponent)
    return Clustering(clusters, centres, float(inertia), iterations), bool(coarse)
