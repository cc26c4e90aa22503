"""The nearest items themselves."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from ._inputs import check_neighbour_count, to_numpy
from ._ranking import checked_classes, make_excluded, make_vectors, nearest_items


def nearest_neighbours(
    embeddings: Float[Array | np.ndarray, "n d"],
    gallery: Float[Array | np.ndarray, "m d"] | None = None,
    *,
    k: int,
    rows: Int[Array | np.ndarray, " q"] | None = None,
    metric: str = "euclidean",
    self_index: Int[Array | np.ndarray, " n"] | None = None,
    ids: Int[Array | np.ndarray, " n"] | None = None,
    gallery_ids: Int[Array | np.ndarray, " m"] | None = None,
    labels: Int[Array | np.ndarray, " n"] | None = None,
    gallery_labels: Int[Array | np.ndarray, " m"] | None = None,
    groups: Int[Array | np.ndarray, " n"] | None = None,
    gallery_groups: Int[Array | np.ndarray, " m"] | None = None,
) -> Int[np.ndarray, "q k"]:
    """Gallery indices of each query's k nearest items, the nearest first.

    Items at equal distances come in the order of their indices. Without a gallery the
    queries are searched among themselves, each without itself. Distances are as exact
    as in ``evaluate``.

    Args:
        embeddings: one row per query.
        gallery: one row per gallery item; None to search the queries among themselves.
        k: how many items to return, at most the number of items to find.
        rows: indices of the queries to search for; None for all.
        metric: "euclidean" or "cosine".
        self_index: where in the gallery each query itself is, as in ``evaluate``.
        ids: which item each query is, as in ``evaluate``.
        gallery_ids: which item each gallery item is.
        labels: class of each query; only `groups` need it.
        gallery_labels: class of each gallery item.
        groups: group of each query, as in ``evaluate``: items of a query's class and
            group are left out.
        gallery_groups: group of each gallery item.

    Returns:
        A row of indices for each query.

    Raises:
        ValueError: wrong shape or dtype, a number out of range, or an entry that is NaN
            or infinite.

    Example:
        >>> nearest_neighbours(np.float32([[0], [1], [3]]), k=2)
        array([[1, 2],
               [0, 2],
               [1, 0]], dtype=int32)
    """
    name = "nearest_neighbours"
    vectors = make_vectors(name, embeddings, gallery, metric)
    n, m = len(vectors.x), None if gallery is None else len(vectors.y)
    classes = None
    if labels is not None:
        classes = checked_classes(name, labels, gallery_labels, n, m)[1:]
    excluded = make_excluded(
        name,
        n,
        m,
        self_index=self_index,
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
        classes=classes,
    )
    queries = np.arange(n) if rows is None else _checked_rows(name, rows, n)
    most = len(vectors.y) - int(excluded.count_all()[queries].max())
    check_neighbour_count(name, "`k`", k, most)
    return nearest_items(vectors, excluded, queries, k)


def _checked_rows(name: str, rows: Any, queries: int) -> Int[np.ndarray, " q"]:
    rows = to_numpy(rows)
    if rows.ndim != 1 or not len(rows) or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            f"{name}: `rows` must be integer [q], at least one, got {rows.dtype}"
            f" {rows.shape}"
        )
    if rows.min() < 0 or rows.max() >= queries:
        raise ValueError(
            f"{name}: `rows` must be from 0 to {queries - 1}, got {rows.min()} to"
            f" {rows.max()}"
        )
    return rows
