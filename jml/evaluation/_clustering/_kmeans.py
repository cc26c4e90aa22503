"""k-means with a careful start, in blocks of items, on the device."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jml.evaluation._neighbours import nearest
from jml.evaluation._ranking._inputs import (
    SEEDS,
    check_at_most,
    check_count,
    checked_embeddings,
)
from jml.evaluation._ranking._keys import inner_products
from jml.evaluation._ranking._level import first_dtype, width
from jml.evaluation._ranking._vectors import Vectors

BLOCK = 2048  # items whose distances to all centres exist at once
COARSE = 1e-3  # of the items: so many may be with another centre, by rounding


class Clustering(NamedTuple):
    """What k-means found."""

    clusters: Int[np.ndarray, " n"]  # of each item, from 0
    centres: Float[np.ndarray, "k d"]
    inertia: float  # sum of the squared distances to the centres
    iterations: int


def kmeans(
    embeddings: Float[Array, "n d"],
    k: int,
    *,
    seed: int = 0,
    max_iterations: int = 300,
    tolerance: float = 1e-4,
) -> Clustering:
    """Lloyd's algorithm from a greedy k-means++ start.

    Each centre after the first is the best of a few items drawn in proportion to their
    squared distance from the centres so far (Arthur and Vassilvitskii, 2007). A cluster
    that loses all its items starts again at the item farthest from its centre.

    Args:
        embeddings: the items.
        k: number of clusters, at most the number of items.
        seed: of the start.
        max_iterations: the most there are.
        tolerance: it ends when the centres move less, in sum of squares, than this
            fraction of the mean variance of a column.

    Returns:
        The clusters, with centres and inertia of the last assignment. Each item is with
        the centre that is nearest by differences, and not only by float32 products.

    Raises:
        ValueError: wrong shape or dtype, an entry that is NaN or infinite, or a `k`
            out of range.

    Example:
        >>> x = np.float32([[0], [1], [10], [11]])
        >>> found = kmeans(x, 2)
        >>> found.inertia, bool(found.clusters[0] == found.clusters[1])
        (1.0, True)
    """
    given = checked_embeddings("kmeans", "embeddings", embeddings)
    check_count("kmeans", "`k`", k, len(given))
    check_at_most("kmeans", SEEDS, seed=seed)
    for dtype in dict.fromkeys((first_dtype(given.dtype), np.dtype(np.float64))):
        with width(dtype):
            assigned, centres, iterations = _lloyd(
                given, dtype, k, seed, max_iterations, tolerance
            )
        vectors = Vectors(given, centres, "euclidean")
        clusters, everything = nearest(vectors), np.arange(len(given))
        squares = vectors.squared_distances(everything, clusters)
        other = np.flatnonzero(assigned != clusters)
        farther = vectors.squared_distances(other, assigned[other])
        # Where centres are close together and far from the mean, float32 products
        # confuse them all along.
        if np.sum(farther > (1 + 1e-4) * squares[other]) <= COARSE * len(given):
            break
    with np.errstate(over="ignore"):  # of squares beyond float64: infinite
        inertia = np.ldexp(squares.sum(), 2 * vectors.exponent)
    return Clustering(clusters, centres, float(inertia), iterations)


def _lloyd(
    given: Float[np.ndarray, "n d"],
    dtype: np.dtype,
    k: int,
    seed: int,
    max_iterations: int,
    tolerance: float,
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "k d"], int]:
    """Clusters, centres and the number of iterations, computed in floats of a dtype."""
    # Near zero and at most 2 in size, squares neither overflow nor vanish.
    exponent = int(np.frexp(np.abs(given).max())[1])
    x = np.ldexp(given.astype(dtype), -exponent)
    mean = x.mean(axis=0)
    x = x - mean
    block = min(BLOCK, len(x))
    padding = -len(x) % block
    present = np.arange(len(x) + padding) < len(x)
    items = np.pad(x, ((0, padding), (0, 0)))
    found = _kmeans(
        items.reshape(-1, block, x.shape[1]),
        present.reshape(-1, block),
        jax.random.key(seed),
        tolerance * float(np.mean(np.var(x, axis=0))),
        max_iterations,
        k=k,
    )
    clusters, centres, iterations = map(np.asarray, found)
    centres = np.ldexp(centres + mean, exponent).astype(given.dtype)
    return clusters[: len(x)], centres, int(iterations)


@partial(jax.jit, static_argnames="k")
def _kmeans(items, present, key, tolerance, max_iterations, *, k):
    """Items come in blocks; those not `present` only fill up the last one."""
    flat, there = items.reshape(-1, items.shape[2]), present.ravel()

    def refine(state):
        centres, _, iteration = state
        clusters, distances = _assign(items, centres)
        moved = _means(flat, clusters, distances, there, centres)
        return moved, jnp.sum((moved - centres) ** 2), iteration + 1

    def goes_on(state):
        return (state[1] > tolerance) & (state[2] < max_iterations)

    start = _plus_plus(flat, there, key, k), jnp.asarray(jnp.inf, items.dtype), 0
    centres, _, iterations = jax.lax.while_loop(goes_on, refine, start)
    clusters, _ = _assign(items, centres)
    return clusters, centres, iterations


def _assign(items, centres) -> tuple[Int[Array, " n"], Float[Array, " n"]]:
    """Each item's nearest centre and its squared distance."""
    norms = jnp.sum(centres**2, axis=1)

    def nearest(x):
        partial_distances = norms[None] - 2 * inner_products(x, centres)
        clusters = jnp.argmin(partial_distances, axis=1)
        return clusters, jnp.min(partial_distances, axis=1) + jnp.sum(x * x, axis=1)

    clusters, distances = jax.lax.map(nearest, items)
    return clusters.ravel(), jnp.maximum(distances.ravel(), 0)


def _means(flat, clusters, distances, there, centres) -> Float[Array, "k d"]:
    """The centres of the clusters."""
    k = len(centres)
    clusters = jnp.where(there, clusters, k)  # beyond the last: dropped
    sums = jax.ops.segment_sum(flat, clusters, k)
    sizes = jax.ops.segment_sum(there.astype(jnp.int32), clusters, k)

    def restart(centres):
        far = jax.lax.top_k(jnp.where(there, distances, -1), k)[1]
        empty = sizes == 0
        return jnp.where(empty[:, None], flat[far[jnp.cumsum(empty) - 1]], centres)

    centres = sums / jnp.maximum(sizes, 1)[:, None]
    return jax.lax.cond(jnp.any(sizes == 0), restart, lambda centres: centres, centres)


def _plus_plus(flat, there, key, k: int) -> Float[Array, "k d"]:
    """The first centres."""
    trials = 2 + int(np.log(k))
    first_key, key = jax.random.split(key)
    shots = jax.random.uniform(key, (k, trials), flat.dtype)
    norms = jnp.sum(flat * flat, axis=1)

    def squared_distances(chosen):
        products = inner_products(flat[chosen], flat)
        to_all = norms[None] - 2 * products + norms[chosen, None]
        return jnp.where(there[None], jnp.maximum(to_all, 0), 0)

    def choose(number, state):
        centres, closest = state
        reached = jnp.cumsum(closest)
        drawn = jnp.searchsorted(reached, shots[number] * reached[-1], side="right")
        drawn = jnp.minimum(drawn, jnp.sum(there) - 1)
        with_each = jnp.minimum(closest[None], squared_distances(drawn))
        best = jnp.argmin(jnp.sum(with_each, axis=1))
        return centres.at[number].set(flat[drawn[best]]), with_each[best]

    first = jax.random.randint(first_key, (1,), 0, jnp.sum(there))
    centres = jnp.zeros((k, flat.shape[1]), flat.dtype).at[0].set(flat[first[0]])
    start = centres, squared_distances(first)[0]
    return jax.lax.fori_loop(1, k, choose, start)[0]
