"""Labels, ids and groups as small integers, so that equal ones are found quickly."""

from typing import Any

import numpy as np
from jaxtyping import Integer as Int

from jml._labels import concatenate_labels
from jml.evaluation._inputs import checked_labels


def checked_classes(
    name: str,
    labels: Any,
    gallery_labels: Any,
    queries: int,
    gallery: int | None,
) -> tuple[np.ndarray, Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """The distinct labels, and the class of each query and gallery item.

    A class is an index into the distinct labels.

    Args:
        name: the public function, for its errors.
        labels: label of each query.
        gallery_labels: label of each gallery item.
        queries: number of queries.
        gallery: size of the gallery; None where it is the queries.

    Raises:
        ValueError: the labels have the wrong shape or are not integers.
    """
    labels = others = checked_labels(name, "labels", labels, queries)
    if gallery is not None:
        others = checked_labels(name, "gallery_labels", gallery_labels, gallery)
    return _number(labels, others)


def number_apart(
    queries: Int[np.ndarray, " n"], gallery: Int[np.ndarray, " m"]
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """Renumbers both from 0, so that equal values get equal numbers.

    A negative value equals no other: it becomes -1 in the queries and -2 in the
    gallery.
    """
    _, first, second = _number(queries, gallery)
    return np.where(queries < 0, -1, first), np.where(gallery < 0, -2, second)


def _number(
    labels: Int[np.ndarray, " n"], others: Int[np.ndarray, " m"]
) -> tuple[np.ndarray, Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """The distinct values of both, sorted, and both as indices into them.

    The distinct values are Python integers where no dtype of NumPy holds them all.
    """
    if others is labels:
        distinct, classes = np.unique(labels, return_inverse=True)
        return distinct, classes, classes
    together = concatenate_labels(labels, others)
    distinct, classes = np.unique(together, return_inverse=True)
    return distinct, classes[: len(labels)], classes[len(labels) :]


def pair(
    first: Int[np.ndarray, " n"], second: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """One number for each pair of numbers below 2^31; -1 where either is negative."""
    both = first.astype(np.int64) * 2**32 + second
    return np.where((first < 0) | (second < 0), -1, both)


def count_equal(
    queries: Int[np.ndarray, " n"], gallery: Int[np.ndarray, " m"]
) -> Int[np.ndarray, " n"]:
    """How many numbers of the gallery equal each number of the queries.

    A negative number equals none.
    """
    if queries.max(initial=-1) < 0:
        return np.zeros(len(queries), int)
    distinct, counts = np.unique(gallery, return_counts=True)
    place = np.minimum(np.searchsorted(distinct, queries), len(distinct) - 1)
    return np.where((queries >= 0) & (distinct[place] == queries), counts[place], 0)
