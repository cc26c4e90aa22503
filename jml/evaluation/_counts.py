"""How many items each query can find, by labels, ids and groups alone."""

from typing import Any

import numpy as np
from jaxtyping import Array
from jaxtyping import Integer as Int

from ._inputs import to_numpy
from ._ranking import Excluded, checked_classes, make_excluded


def count_relevant(
    labels: Int[Array | np.ndarray, " n"],
    gallery_labels: Int[Array | np.ndarray, " m"] | None = None,
    *,
    self_index: Int[Array | np.ndarray, " n"] | None = None,
    ids: Int[Array | np.ndarray, " n"] | None = None,
    gallery_ids: Int[Array | np.ndarray, " m"] | None = None,
    groups: Int[Array | np.ndarray, " n"] | None = None,
    gallery_groups: Int[Array | np.ndarray, " m"] | None = None,
) -> Int[np.ndarray, " n"]:
    """How many gallery items are relevant to each query.

    Args:
        labels: class of each query.
        gallery_labels: class of each gallery item; None where the queries are searched
            for among themselves.
        self_index: where in the gallery each query itself is, as in ``evaluate``.
        ids: which item each query is, as in ``evaluate``.
        gallery_ids: which item each gallery item is.
        groups: group of each query, as in ``evaluate``.
        gallery_groups: group of each gallery item.

    Returns:
        The number R of ``evaluate`` for each query.

    Raises:
        ValueError: wrong shape or dtype, or an argument without its counterpart.

    Example:
        >>> count_relevant(np.array([0, 0, 0, 1]), groups=np.array([5, 5, 6, 6]))
        array([1, 1, 2, 0])
    """
    arguments = ids, gallery_ids, groups, gallery_groups
    classes, gallery_classes, excluded = _checked(
        "count_relevant", labels, gallery_labels, self_index, *arguments
    )
    sizes = np.bincount(gallery_classes, minlength=classes.max() + 1)
    return sizes[classes] - excluded.count_within(classes, gallery_classes)


def count_neighbours(
    labels: Int[Array | np.ndarray, " n"],
    gallery_labels: Int[Array | np.ndarray, " m"] | None = None,
    *,
    self_index: Int[Array | np.ndarray, " n"] | None = None,
    ids: Int[Array | np.ndarray, " n"] | None = None,
    gallery_ids: Int[Array | np.ndarray, " m"] | None = None,
    groups: Int[Array | np.ndarray, " n"] | None = None,
    gallery_groups: Int[Array | np.ndarray, " m"] | None = None,
) -> Int[np.ndarray, " n"]:
    """How many gallery items each query ranks, relevant or not.

    It is the largest `k` that ``nearest_neighbours`` takes for the query.

    Args:
        labels: class of each query.
        gallery_labels: class of each gallery item; None where the queries are searched
            for among themselves.
        self_index: where in the gallery each query itself is, as in ``evaluate``.
        ids: which item each query is, as in ``evaluate``.
        gallery_ids: which item each gallery item is.
        groups: group of each query, as in ``evaluate``.
        gallery_groups: group of each gallery item.

    Returns:
        The number for each query.

    Raises:
        ValueError: wrong shape or dtype, or an argument without its counterpart.

    Example:
        >>> count_neighbours(np.array([0, 0, 0, 1]), groups=np.array([5, 5, 6, 6]))
        array([2, 2, 3, 3])
    """
    arguments = ids, gallery_ids, groups, gallery_groups
    _, gallery_classes, excluded = _checked(
        "count_neighbours", labels, gallery_labels, self_index, *arguments
    )
    return len(gallery_classes) - excluded.count_all()


def _checked(
    name: str,
    labels: Any,
    gallery_labels: Any,
    self_index: Any,
    ids: Any,
    gallery_ids: Any,
    groups: Any,
    gallery_groups: Any,
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"], Excluded]:
    """The classes of queries and gallery, and what is left out."""
    labels = _as_row(name, "labels", labels)
    if gallery_labels is not None:
        gallery_labels = _as_row(name, "gallery_labels", gallery_labels)
    n, m = len(labels), None if gallery_labels is None else len(gallery_labels)
    _, classes, gallery_classes = checked_classes(name, labels, gallery_labels, n, m)
    excluded = make_excluded(
        name,
        n,
        m,
        classes=(classes, gallery_classes),
        self_index=self_index,
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
    )
    return classes, gallery_classes, excluded


def _as_row(name: str, argument: str, labels: Any) -> np.ndarray:
    labels = to_numpy(labels)
    if labels.ndim != 1:
        raise ValueError(
            f"{name}: `{argument}` must be integer [n], got {labels.dtype}"
            f" {labels.shape}"
        )
    return labels
