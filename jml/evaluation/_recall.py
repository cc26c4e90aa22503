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
    gallery: Float[Array, "m d"] | None = None,
    gallery_labels: Int[Array, " m"] | None = None,
    *,
    ks: Sequence[int] = (1, 2, 4, 8),
    block_size: int = 1024,
) -> dict[int, float]:
    r"""Fraction of queries with an item of their class among the k nearest.

    Without a gallery every item is a query against all the others. Neighbours are
    ordered by Euclidean distance and, where that is equal, by index. Query $i$, whose
    nearest item of the same class is $p$, is a hit at k if fewer than k others come
    before $p$:

    $$\#\{j \ne i : (D_{ij}, j) < (D_{ip}, p)\} < k$$

    So two passes over a row of distances, a minimum and a count, answer for every k,
    and nothing is sorted. The query itself is left out by its index: a duplicate of it
    is a neighbour like any other. In a gallery, whose items are others, nothing is.

    A query without another item of its class cannot be a hit. It is left out of the
    mean, and stays a neighbour of the others.

    Args:
        embeddings: one row per query; computed in float32 at least, and in float64 only
            where JAX has it enabled.
        labels: class of each query, integers of any size.
        gallery: the items to search, None for the queries themselves.
        gallery_labels: their classes.
        ks: how many neighbours to look at, each from 1 to the number of them.
        block_size: queries handled at once; memory is block_size times the gallery.

    Returns:
        A fraction from 0 to 1 for each k, in the order of `ks`.

    Raises:
        ValueError: wrong shape or dtype, a k out of range, an entry that is NaN or
            infinite, or no query with another item of its class.

    Example:
        >>> embeddings = np.float32([[0], [1], [3], [4]])
        >>> recall_at_k(embeddings, np.array([0, 0, 1, 0]), ks=(1, 3))
        {1: 0.6666666666666666, 3: 1.0}
    """
    x, labels = _checked("embeddings", "labels", embeddings, labels)
    if (gallery is None) != (gallery_labels is None):
        raise ValueError(
            "recall_at_k: `gallery` and `gallery_labels` must be given together"
        )
    if gallery is None:
        y, others = x, labels
    else:
        y, others = _checked("gallery", "gallery_labels", gallery, gallery_labels)
        if y.shape[1] != x.shape[1]:
            raise ValueError(
                f"recall_at_k: `gallery` must have {x.shape[1]} columns, as"
                f" `embeddings`, got {y.shape[1]}"
            )
    _check_numbers(ks, block_size, neighbours=len(y) - (gallery is None))
    scaled = _rescaled(x if gallery is None else np.concatenate([x, y]))
    _, classes = np.unique(np.concatenate([labels, others]), return_inverse=True)
    own, others = np.split(classes.astype(np.int32), [len(x)])
    ranks = _ranks(
        *_padded(scaled[: len(x)], own, min(block_size, len(x))),
        *_padded(scaled[-len(y) :], others, min(block_size, len(y))),
        len(y),
        block_size=min(block_size, len(x)),
        among_themselves=gallery is None,
    )
    counts = np.bincount(others, minlength=len(x) + len(y))
    answerable = counts[own] > (gallery is None)
    if not answerable.any():
        raise ValueError("recall_at_k: no query has another item of its class to find")
    ranks = np.asarray(ranks)[: len(x)][answerable]
    return {int(k): float(np.mean(ranks < k)) for k in ks}


def _checked(name, labels_name, x, labels) -> tuple[np.ndarray, np.ndarray]:
    """The embeddings, float32 or wider, and the labels."""
    x, labels = np.asarray(x), np.asarray(labels)
    if x.ndim != 2 or not x.shape[1] or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"recall_at_k: `{name}` must be floating [n, d], got {x.dtype} {x.shape}"
        )
    if labels.shape != x.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"recall_at_k: `{labels_name}` must be integer [{len(x)}], got"
            f" {labels.dtype} {labels.shape}"
        )
    if not len(x):
        raise ValueError(f"recall_at_k: `{name}` must hold an item, got {x.shape}")
    x = x.astype(np.float64 if x.dtype == np.float64 else np.float32)
    broken = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(broken):
        raise ValueError(
            f"recall_at_k: {len(broken)} of {len(x)} rows of `{name}` hold NaN or"
            f" infinity, the first of them row {broken[0]}"
        )
    return x, labels


def _check_numbers(ks, block_size, neighbours: int) -> None:
    if not neighbours:
        raise ValueError("recall_at_k: needs two items at least, got 1")
    for k in ks:
        if not 1 <= k <= neighbours:
            raise ValueError(
                f"recall_at_k: each of `ks` must be from 1 to {neighbours}, the number"
                f" of other items, got {k}"
            )
    if block_size < 1:
        raise ValueError(
            f"recall_at_k: `block_size` must be positive, got {block_size}"
        )


def _rescaled(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """The same order of distances, from numbers that are near zero and at most 2.

    Squares then neither overflow nor vanish, and embeddings that huddle far from the
    origin lose no digits. What was a tie stays one: a power of two scales exactly, and
    equal rows stay equal.
    """
    x = np.ldexp(x, -np.frexp(np.abs(x).max())[1])
    return x - np.median(x, axis=0)


def _padded(x: np.ndarray, classes: np.ndarray, multiple: int) -> tuple:
    """Rows of no class up to a multiple, for sizes to share a compilation.

    The gallery needs them too: at a ragged end the product rounds otherwise, and
    duplicates would no longer tie.
    """
    padding = -len(x) % multiple
    return (
        jnp.pad(jnp.asarray(x), ((0, padding), (0, 0))),
        jnp.pad(jnp.asarray(classes), (0, padding), constant_values=-1),
    )


@partial(jax.jit, static_argnames=("block_size", "among_themselves"))
def _ranks(x, classes, gallery, others, n, *, block_size, among_themselves):
    """How many of the gallery's `n` items come before the first of the query's class.

    What pads the queries gets a rank too, without meaning.
    """
    index = jnp.arange(len(gallery))
    norms = jnp.sum(gallery * gallery, axis=1)

    def ranks_of_block(start) -> Int[Array, " b"]:
        queries = jax.lax.dynamic_slice_in_dim(x, start, block_size)
        own = jax.lax.dynamic_slice_in_dim(classes, start, block_size)
        other = jnp.broadcast_to(index < n, (block_size, len(gallery)))
        if among_themselves:
            other &= index != start + jnp.arange(block_size)[:, None]
        # Without the query's own norm, which moves a whole row and reorders nothing.
        gram = jnp.matmul(queries, gallery.T, precision=jax.lax.Precision.HIGHEST)
        distances = jnp.where(other, norms - 2 * gram, jnp.inf)
        hits = jnp.where(others == own[:, None], distances, jnp.inf)
        nearest = jnp.min(hits, axis=1, keepdims=True)
        first = jnp.argmax(hits == nearest, axis=1, keepdims=True)
        before = (distances < nearest) | ((distances == nearest) & (index < first))
        return jnp.sum(before & other, axis=1)

    return jax.lax.map(ranks_of_block, jnp.arange(0, len(x), block_size)).ravel()
