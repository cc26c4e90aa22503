"""The nearest items themselves."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from jml._value_checks import check_functions

from ._inputs import check_neighbour_count, to_numpy
from ._ranking import (
    Progress,
    SpreadVectors,
    checked_classes,
    make_excluded,
    make_sides,
    nearest_items,
    nearest_of_parts,
)


class Neighbours(NamedTuple):
    """The nearest items of each query, the nearest first."""

    indices: Int[np.ndarray, "q k"]  # in the gallery, int32
    distances: Float[np.ndarray, "q k"]  # Euclidean, or 1 - cosine; float64


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
    spread: bool = False,
    progress: Progress = lambda steps: steps,
) -> Neighbours:
    r"""Each query's k nearest items and their distances, the nearest first.

    The distance of a query $x$ and an item $y$ is $|x - y|$, or with the cosine
    $1 - x \cdot y / (|x| |y|)$, which is 1 for a row of zeros. It is computed in
    float64, from the difference of the two vectors, so that small distances are exact.

    Items at equal distances come in the order of their indices; distances that differ
    by less than the precision of the vectors count as equal. Without a gallery the
    queries are searched among themselves, each without itself. The order is as exact
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
        spread: whether processes share the gallery, as in ``evaluate``. Indices are
            those of the parts one after another; so are `self_index` and `rows`.
        progress: wraps the iterables of long loops, as in ``evaluate``.

    Returns:
        The items' indices in the gallery, int32, and their distances, float64: a row of
        each for each query.

    Raises:
        ValueError: wrong shape or dtype, a number out of range, or an entry that is NaN
            or infinite.

    Example:
        >>> indices, distances = nearest_neighbours(np.float32([[0], [1], [3]]), k=2)
        >>> indices
        array([[1, 2],
               [0, 2],
               [1, 0]], dtype=int32)
        >>> distances
        array([[1., 3.],
               [1., 2.],
               [2., 3.]])
    """
    name = "nearest_neighbours"
    check_functions(name, progress=progress)
    vectors, (labels, ids, groups), (gallery_labels, gallery_ids, gallery_groups) = (
        make_sides(
            name,
            (embeddings, gallery, metric),
            {"labels": labels, "ids": ids, "groups": groups},
            {
                "gallery_labels": gallery_labels,
                "gallery_ids": gallery_ids,
                "gallery_groups": gallery_groups,
            },
            *(self_index, rows, k),
            spread=spread,
        )
    )
    n, m = vectors.sizes[0], None if gallery is None else vectors.sizes[1]
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
    left_out = int(excluded.count_all()[queries].max())
    check_neighbour_count(name, "`k`", k, vectors.sizes[1] - left_out)
    if isinstance(vectors, SpreadVectors):
        nearest = partial(nearest_neighbours, progress=progress)
        found = nearest_of_parts(nearest, vectors, excluded, queries, k)
        return Neighbours(*found)
    indices = nearest_items(vectors, excluded, queries, k, left_out, progress)
    pairs = np.repeat(queries, k), indices.ravel()
    return Neighbours(indices, vectors.distances(*pairs).reshape(indices.shape))


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
