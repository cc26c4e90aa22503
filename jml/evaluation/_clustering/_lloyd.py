"""Lloyd's algorithm on the device, from a k-means++ start, in blocks of items."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from jaxtyping import Integer as Int

from jml.distances import inner_products

from ._draws import draw_start

BLOCK = 2048  # items whose distances to all centres are in memory at once


def lloyd(
    items: Float[np.ndarray, "n d"],
    dtype: np.dtype,
    k: int,
    seed: int,
    max_iterations: int,
    tolerance: float | int,
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "k d"], int]:
    """Clusters, centres and the number of iterations, computed in this dtype."""
    # Scaled to entries of at most 1 and centred, squares neither overflow nor vanish.
    exponent = int(np.frexp(np.abs(items).max())[1])
    x = np.ldexp(items.astype(dtype), -exponent)
    mean = x.mean(axis=0)
    x = x - mean
    block = min(BLOCK, len(x))
    padding = -len(x) % block
    valid = np.arange(len(x) + padding) < len(x)
    blocks = np.pad(x, ((0, padding), (0, 0))).reshape(-1, block, x.shape[1])
    first, shots = draw_start(seed, len(x), (k, 2 + int(np.log(k))), np.dtype(dtype))
    least = tolerance * float(np.mean(np.var(x, axis=0)))
    clusters, centres, iterations = map(
        np.asarray,
        _kmeans(blocks, valid, np.int32(first), shots, least, max_iterations),
    )
    centres = np.ldexp(centres + mean, exponent).astype(items.dtype)
    return clusters[: len(x)], centres, int(iterations)


@jax.jit
def _kmeans(blocks, valid, first, shots, tolerance, max_iterations):
    """Clusters blocks of items; those that are not `valid` only fill up the last."""
    items = blocks.reshape(-1, blocks.shape[2])

    def refine(state):
        centres, _, movement, iteration, _ = state
        clusters, squares = _assign(blocks, centres)
        goes_on = (movement > tolerance) & (iteration < max_iterations)
        moved = _means(items, clusters, squares, valid, centres)
        moved = jnp.where(goes_on, moved, centres)
        movement = jnp.sum((moved - centres) ** 2)
        return moved, clusters, movement, iteration + goes_on, goes_on

    # One loop body serves the last assignment, too: a second would be compiled anew.
    centres = _plus_plus(items, valid, first, shots)
    clusters = jnp.zeros(len(items), int)
    movement = jnp.asarray(jnp.inf, items.dtype)
    start = centres, clusters, movement, jnp.int32(0), jnp.bool_(True)
    centres, clusters, _, iterations, _ = jax.lax.while_loop(
        lambda state: state[-1], refine, start
    )
    return clusters, centres, iterations


def _assign(
    blocks: Float[Array, "b t d"], centres: Float[Array, "k d"]
) -> tuple[Int[Array, " n"], Float[Array, " n"]]:
    """Each item's nearest centre and its squared distance."""
    k, norms = len(centres), jnp.sum(centres**2, axis=1)

    def nearest(x):
        partial_squares = norms[None] - 2 * inner_products(x, centres)
        least = jnp.min(partial_squares, axis=1)
        # XLA's argmin goes over numbers one by one on a CPU: it took four fifths of the
        # time. A minimum of equal ones' places is found in vectors.
        is_least = partial_squares == least[:, None]
        clusters = jnp.min(jnp.where(is_least, jnp.arange(k), k), axis=1)
        return clusters, least + jnp.sum(x * x, axis=1)

    clusters, squares = jax.lax.map(nearest, blocks)
    return clusters.ravel(), jnp.maximum(squares.ravel(), 0)


def _means(
    items: Float[Array, "n d"],
    clusters: Int[Array, " n"],
    squares: Float[Array, " n"],
    valid: Bool[Array, " n"],
    centres: Float[Array, "k d"],
) -> Float[Array, "k d"]:
    """The means of the clusters; an empty cluster restarts at a far item.

    Args:
        items: one row per item.
        clusters: cluster of each item.
        squares: squared distance of each item from its centre.
        valid: which items count.
        centres: the centres before.
    """
    k = len(centres)
    clusters = jnp.where(valid, clusters, k)  # segment_sum drops numbers from k
    sums = jax.ops.segment_sum(items, clusters, k)
    sizes = jax.ops.segment_sum(valid.astype(jnp.int32), clusters, k)

    def restart(means):
        far = jax.lax.top_k(jnp.where(valid, squares, -1), k)[1]
        empty = sizes == 0
        return jnp.where(empty[:, None], items[far[jnp.cumsum(empty) - 1]], means)

    means = sums / jnp.maximum(sizes, 1)[:, None]
    return jax.lax.cond(jnp.any(sizes == 0), restart, lambda means: means, means)


def _plus_plus(
    items: Float[Array, "n d"],
    valid: Bool[Array, " n"],
    first: Int[Array, ""],
    shots: Float[Array, "k t"],
) -> Float[Array, "k d"]:
    """The first centres: the item `first`, then items that the shots hit."""
    k = len(shots)
    norms = jnp.sum(items * items, axis=1)

    def squared_distances(chosen):
        products = inner_products(items[chosen], items)
        squares = norms[None] - 2 * products + norms[chosen, None]
        return jnp.where(valid[None], jnp.maximum(squares, 0), 0)

    def choose(number, state):
        centres, closest = state
        reached = jnp.cumsum(closest)
        drawn = jnp.searchsorted(reached, shots[number] * reached[-1], side="right")
        drawn = jnp.minimum(drawn, jnp.sum(valid) - 1)
        with_each = jnp.minimum(closest[None], squared_distances(drawn))
        best = jnp.argmin(jnp.sum(with_each, axis=1))
        return centres.at[number].set(items[drawn[best]]), with_each[best]

    centres = jnp.zeros((k, items.shape[1]), items.dtype).at[0].set(items[first])
    start = centres, squared_distances(first[None])[0]
    return jax.lax.fori_loop(1, k, choose, start)[0]
