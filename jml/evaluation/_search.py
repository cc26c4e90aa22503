"""What is searched for in what: vectors, classes, and what is left out of a ranking."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jml._checks import check_choice
from jml._labels import concatenate_labels

from ._inputs import (
    METRICS,
    check_columns,
    checked_embeddings,
    checked_index,
    checked_labels,
)
from ._vectors import Vectors


class Excluded(NamedTuple):
    """What is left out of rankings: pairs with one id, or with one class and group.

    Numbers below 0 are equal to none; those of queries and of the gallery differ there.
    """

    ids: Int[np.ndarray, " n"]
    gallery_ids: Int[np.ndarray, " m"]
    groups: Int[np.ndarray, " n"] | None = None  # each of one class
    gallery_groups: Int[np.ndarray, " m"] | None = None

    def pairs(self, queries, items) -> Bool[np.ndarray, " *k"]:
        """Whether these items are left out for these queries."""
        out = self.ids[queries] == self.gallery_ids[items]
        if self.groups is not None:
            out |= self.groups[queries] == self.gallery_groups[items]
        return out

    def count(self) -> Int[np.ndarray, " n"]:
        """How many items are left out for each query."""
        everywhere = np.zeros(len(self.ids), int), np.zeros(len(self.gallery_ids), int)
        return self.count_within(*everywhere)

    def count_within(self, classes, gallery_classes) -> Int[np.ndarray, " n"]:
        """The same among the items of the query's class."""
        ids = _pair(classes, self.ids), _pair(gallery_classes, self.gallery_ids)
        out = _matches(*ids)
        if self.groups is not None:  # which lie within a class anyway
            out += _matches(self.groups, self.gallery_groups)
            both = (
                _pair(self.groups, self.ids),
                _pair(self.gallery_groups, self.gallery_ids),
            )
            out -= _matches(*both)
        return out


class Search(NamedTuple):
    """Queries and what they are searched for in, ready to be compared."""

    vectors: Vectors
    classes: Int[np.ndarray, " n"]  # of the queries, as indices into `labels`
    gallery_classes: Int[np.ndarray, " m"]
    excluded: Excluded
    labels: np.ndarray  # of the classes, sorted

    @property
    def among_themselves(self) -> bool:
        """Whether every query is searched for among the others."""
        return self.vectors.x is self.vectors.y

    @property
    def neighbours(self) -> int:
        """How many items there are to find for a query."""
        return len(self.gallery_classes) - self.among_themselves


def make_search(
    name: str,
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    gallery: Float[Array, "m d"] | None,
    gallery_labels: Int[Array, " m"] | None,
    *,
    metric: str = "euclidean",
    self_index: Int[Array, " n"] | None = None,
    ids: Int[Array, " n"] | None = None,
    gallery_ids: Int[Array, " m"] | None = None,
    groups: Int[Array, " n"] | None = None,
    gallery_groups: Int[Array, " m"] | None = None,
) -> Search:
    """Checks the arguments of the public function `name`; raises a ValueError."""
    vectors = make_vectors(name, embeddings, gallery, metric)
    n, m = len(vectors.x), len(vectors.y)
    labels = checked_labels(name, "labels", labels, n)
    if (gallery is None) != (gallery_labels is None):
        raise ValueError(
            f"{name}: `gallery` and `gallery_labels` must be given together"
        )
    if gallery is None and n < 2:
        raise ValueError(f"{name}: needs two items at least, got 1")
    others = labels
    if gallery is not None:
        others = checked_labels(name, "gallery_labels", gallery_labels, m)
    known, classes, gallery_classes = numbered(labels, others)
    excluded = make_excluded(
        name,
        vectors,
        self_index=self_index,
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
        classes=(classes, gallery_classes),
    )
    return Search(vectors, classes, gallery_classes, excluded, known)


def make_vectors(name: str, embeddings, gallery, metric: str) -> Vectors:
    """Checks queries and gallery; without one the queries are it."""
    check_choice(name, "metric", metric, METRICS)
    x = y = checked_embeddings(name, "embeddings", embeddings)
    if gallery is not None:
        y = checked_embeddings(name, "gallery", gallery)
        check_columns(name, y, x)
        y = y.view()  # not `x` itself, even where it is the same array
    return Vectors(x, y, metric)


def make_excluded(
    name: str,
    vectors: Vectors,
    *,
    self_index,
    ids,
    gallery_ids,
    groups,
    gallery_groups,
    classes: tuple[np.ndarray, np.ndarray] | None,
) -> Excluded:
    """Checks what says which items are left out; raises a ValueError.

    Without a gallery every item is left out of its own ranking at least.
    """
    n, m, apart = len(vectors.x), len(vectors.y), vectors.x is not vectors.y
    if self_index is not None:
        if not apart:
            raise ValueError(f"{name}: `self_index` must be None without a `gallery`")
        if ids is not None or gallery_ids is not None:
            raise ValueError(f"{name}: pass `self_index` or `ids`, not both")
    both = {"ids": (ids, gallery_ids), "groups": (groups, gallery_groups)}
    numbers = {}
    for word, (ours, theirs) in both.items():
        numbers[word] = None
        if not apart and theirs is not None:
            raise ValueError(
                f"{name}: `gallery_{word}` must be None without a `gallery`; pass"
                f" `{word}` alone"
            )
        if apart and (ours is None) != (theirs is None):
            raise ValueError(
                f"{name}: `{word}` and `gallery_{word}` must be given together"
            )
        if ours is not None:
            ours = checked_labels(name, word, ours, n)
            theirs = (
                checked_labels(name, f"gallery_{word}", theirs, m) if apart else ours
            )
            numbers[word] = _numbered_apart(ours, theirs)
    if numbers["ids"] is not None:
        mine, gallery_numbers = numbers["ids"]
        if not apart:  # an item is itself, whatever its id
            mine = np.where(mine < 0, len(mine) + np.arange(n), mine)
            gallery_numbers = mine
    elif apart:
        index = checked_index(name, self_index, n, m)
        mine, gallery_numbers = np.where(index < 0, -1, index), np.arange(m)
    else:
        mine = gallery_numbers = np.arange(n)
    if numbers["groups"] is None:
        return Excluded(mine, gallery_numbers)
    if classes is None:
        raise ValueError(f"{name}: `groups` go with `labels`; pass them, too")
    of_class = (
        np.where(group < 0, group, _pair(kind, group))
        for kind, group in zip(classes, numbers["groups"], strict=True)
    )
    return Excluded(mine, gallery_numbers, *_numbered_apart(*of_class))


def count_equal_rows(x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"]) -> int:
    """How many rows of `x` are rows of `y`, bit for bit."""
    dtype = np.result_type(x, y)
    x, y = (np.ascontiguousarray(rows, dtype) for rows in (x, y))
    factors = np.random.default_rng(0).integers(2**63, size=x.shape[1]) * 2 + 1
    factors = factors.astype(f"u{dtype.itemsize}")

    def checksums(rows: np.ndarray) -> np.ndarray:
        bits = rows.view(factors.dtype)
        return np.concatenate(
            [
                (bits[at : at + 4096] * factors).sum(axis=1)
                for at in range(0, len(rows), 4096)
            ]
        )

    sums, others = checksums(x), checksums(y)
    known = {row.tobytes() for row in y[np.isin(others, sums)]}
    return sum(row.tobytes() in known for row in x[np.isin(sums, others)])


def numbered(labels: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, ...]:
    """The distinct labels, and both as indices into them."""
    if others is labels:
        known, classes = np.unique(labels, return_inverse=True)
        return known, classes, classes
    together = concatenate_labels(labels, others)
    known, classes = np.unique(together, return_inverse=True)
    return known, classes[: len(labels)], classes[len(labels) :]


def _numbered_apart(ours, theirs) -> tuple[np.ndarray, np.ndarray]:
    """Numbers from 0; what is below 0 is -1 in the queries and -2 in the gallery."""
    _, first, second = numbered(ours, theirs)
    return np.where(ours < 0, -1, first), np.where(theirs < 0, -2, second)


def _pair(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """One number for two; below 0 where either is, and then equal to none."""
    pair = one.astype(np.int64) * 2**32 + other
    return np.where((one < 0) | (other < 0), -1, pair)


def _matches(ours: np.ndarray, theirs: np.ndarray) -> Int[np.ndarray, " n"]:
    """How many of `theirs` equal each of `ours`."""
    known, counts = np.unique(theirs, return_counts=True)
    place = np.minimum(np.searchsorted(known, ours), len(known) - 1)
    return np.where((ours >= 0) & (known[place] == ours), counts[place], 0)
