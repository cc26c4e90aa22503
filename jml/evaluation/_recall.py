"""Recall@k by exact nearest neighbours, the N x N matrix never stored."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def recall_at_k(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    block_size: int = 1024,
) -> dict[int, float]:
    r"""Fraction of queries with an item of their class among the k nearest others.

    Every item is a query against all the others. Neighbours are ordered by Euclidean
    distance and, where that is equal, by index. Query $i$, whose nearest item of the
    same class is $p$, is a hit at k if fewer than k others come before $p$:

    $$\#\{j \ne i : (D_{ij}, j) < (D_{ip}, p)\} < k$$

    So two passes over a row of distances, a minimum and a count, answer for every k,
    and nothing is sorted. The query itself is left out by its index: a duplicate of it
    is a neighbour like any other.

    A query that is the only item of its class cannot be a hit. It is left out of the
    mean, and stays a neighbour of the others.

    Args:
        embeddings: one row per item; computed in float32 at least, and in float64 only
            where JAX has it enabled.
        labels: class of each item, integers of any size.
        ks: how many neighbours to look at, each from 1 to n - 1.
        block_size: queries handled at once; memory is block_size x n.

    Returns:
        A fraction from 0 to 1 for each k, in the order of `ks`.

    Raises:
        ValueError: wrong shape or dtype, a k out of range, an entry that is NaN or
            infinite, or no class with two items.

    Example:
        >>> embeddings = np.float32([[0], [1], [3], [4]])
        >>> recall_at_k(embeddings, np.array([0, 0, 1, 0]), ks=(1, 3))
        {1: 0.6666666666666666, 3: 1.0}
    """
    x, classes = _checked(embeddings, labels, ks, block_size)
    n = len(classes)
    padding = -n % min(block_size, n)
    ranks = _ranks(
        jnp.pad(jnp.asarray(x), ((0, padding), (0, 0))),
        jnp.pad(jnp.asarray(classes), (0, padding), constant_values=-1),
        n,
        block_size=min(block_size, n),
    )
    counts = np.bincount(classes)
    answerable = counts[classes] > 1
    if not answerable.any():
        raise ValueError(
            "recall_at_k: no class has two items, so no query has an answer"
        )
    ranks = np.asarray(ranks)[:n][answerable]
    return {int(k): float(np.mean(ranks < k)) for k in ks}


def _checked(embeddings, labels, ks, block_size) -> tuple[np.ndarray, np.ndarray]:
    """The embeddings, float32 or wider, and the labels renumbered from 0 as int32."""
    x, labels = np.asarray(embeddings), np.asarray(labels)
    if x.ndim != 2 or not x.shape[1] or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"recall_at_k: `embeddings` must be floating [n, d], got {x.dtype}"
            f" {x.shape}"
        )
    if labels.shape != x.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"recall_at_k: `labels` must be integer [{len(x)}], got {labels.dtype}"
            f" {labels.shape}"
        )
    if len(x) < 2:
        raise ValueError(f"recall_at_k: needs two items at least, got {len(x)}")
    for k in ks:
        if not 1 <= k < len(x):
            raise ValueError(
                f"recall_at_k: each of `ks` must be from 1 to {len(x) - 1}, the number"
                f" of other items, got {k}"
            )
    if block_size < 1:
        raise ValueError(
            f"recall_at_k: `block_size` must be positive, got {block_size}"
        )
    x = x.astype(np.float64 if x.dtype == np.float64 else np.float32)
    broken = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(broken):
        raise ValueError(
            f"recall_at_k: {len(broken)} of {len(x)} rows of `embeddings` hold NaN or"
            f" infinity, the first of them row {broken[0]}"
        )
    return _rescaled(x), np.unique(labels, return_inverse=True)[1].astype(np.int32)


def _rescaled(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """The same order of distances, from numbers that are near zero and at most 2.

    Squares then neither overflow nor vanish, and embeddings that huddle far from the
    origin lose no digits. What was a tie stays one: a power of two scales exactly, and
    equal rows stay equal.
    """
    x = np.ldexp(x, -np.frexp(np.abs(x).max())[1])
    return x - np.median(x, axis=0)


@partial(jax.jit, static_argnames="block_size")
def _ranks(x, labels, n, *, block_size) -> Int[Array, " m"]:
    """How many items come before the first of the query's class; padding from row n."""
    index = jnp.arange(len(x))
    norms = jnp.sum(x * x, axis=1)

    def ranks_of_block(start):
        queries = jax.lax.dynamic_slice_in_dim(x, start, block_size)
        own = jax.lax.dynamic_slice_in_dim(labels, start, block_size)
        other = (index < n) & (index != start + jnp.arange(block_size)[:, None])
        # Without the query's own norm, which moves a whole row and reorders nothing.
        gram = jnp.matmul(queries, x.T, precision=jax.lax.Precision.HIGHEST)
        distances = jnp.where(other, norms - 2 * gram, jnp.inf)
        hits = jnp.where(labels == own[:, None], distances, jnp.inf)
        nearest = jnp.min(hits, axis=1, keepdims=True)
        first = jnp.argmax(hits == nearest, axis=1, keepdims=True)
        before = (distances < nearest) | ((distances == nearest) & (index < first))
        return jnp.sum(before & other, axis=1)

    return jax.lax.map(ranks_of_block, jnp.arange(0, len(x), block_size)).ravel()
