"""The nearest items of a gallery in parts: those of each part, merged."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

from ._excluded import Excluded
from ._lengths import CHUNK
from ._processes import gather
from ._spread_vectors import SpreadVectors


def nearest_of_parts(
    nearest: Callable[..., Any],
    vectors: SpreadVectors,
    excluded: Excluded,
    queries: Int[np.ndarray, " q"],
    k: int,
) -> tuple[Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
    """The k nearest items of all parts and their distances, the nearest first.

    Every process searches its part, and all merge what they found by distance and then
    by index, as one process orders them.

    Args:
        nearest: ``nearest_neighbours``, which searches a part.
        vectors: queries and a part of the gallery.
        excluded: what the queries leave out of the whole gallery.
        queries: which queries.
        k: how many items to return.
    """
    indices = np.empty((len(queries), k), np.int32)
    distances = np.empty((len(queries), k))
    step = max(1, CHUNK // max(vectors.y.shape[1], k))  # queries that travel at once
    for at in range(0, len(queries), step):
        found = _nearest_of_part(nearest, vectors, excluded, queries[at : at + step], k)
        keys, items, far = (np.concatenate(gather(a), axis=1) for a in found)
        order = np.lexsort((items, keys))[:, :k]
        indices[at : at + step] = np.take_along_axis(items, order, axis=1)
        distances[at : at + step] = np.take_along_axis(far, order, axis=1)
    return indices, distances


def _nearest_of_part(
    nearest: Callable[..., Any],
    vectors: SpreadVectors,
    excluded: Excluded,
    queries: Int[np.ndarray, " q"],
    k: int,
) -> tuple[Int[np.ndarray, "q k"], Int[np.ndarray, "q k"], Float[np.ndarray, "q k"]]:
    """The exact keys, the indices and the distances of the nearest items of the part.

    A query may find fewer than k of them: the highest keys fill up its row.
    """
    batch, shape = vectors.of_queries(queries), (len(queries), k)
    keys = np.full(shape, np.iinfo(np.int64).max)
    items, distances = np.full(shape, -1), np.full(shape, np.inf)
    if not len(vectors.y):
        return keys, items, distances
    out = excluded.among(queries, slice(vectors.start, vectors.start + len(vectors.y)))
    there = np.minimum(k, len(vectors.y) - out.count_all())
    left_out: dict[str, Any] = {"ids": out.ids, "gallery_ids": out.gallery_ids}
    if out.groups is not None:  # of one class: their numbers go by classes already
        left_out |= {"groups": out.groups, "gallery_groups": out.gallery_groups}
        left_out["labels"] = np.zeros(len(queries), int)
        left_out["gallery_labels"] = np.zeros(len(vectors.y), int)
    for count in np.unique(there[there > 0]):
        rows = np.flatnonzero(there == count)
        options = {"k": int(count), "metric": vectors.metric, "rows": rows}
        found = nearest(batch.x, vectors.y, **options, **left_out)
        pairs = np.repeat(rows, count), found.indices.ravel()
        keys[rows, :count] = batch.exact_keys(*pairs).reshape(-1, count)
        items[rows, :count] = found.indices + vectors.start
        distances[rows, :count] = found.distances
    return keys, items, distances
