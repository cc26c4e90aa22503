"""What is left out of rankings: the query itself, its copies, its own group."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from jml._labels import concatenate_labels

from ._inputs import checked_index, checked_labels


class Excluded(NamedTuple):
    """What is left out of rankings: pairs with one id, or with one class and group.

    Negative numbers match nothing: queries use -1, the gallery -2.
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
        out = _matches(
            _pair(classes, self.ids), _pair(gallery_classes, self.gallery_ids)
        )
        if self.groups is not None:  # they lie within a class anyway
            out += _matches(self.groups, self.gallery_groups)
            out -= _matches(
                _pair(self.groups, self.ids),
                _pair(self.gallery_groups, self.gallery_ids),
            )
        return out


def make_excluded(
    name: str,
    queries: int,
    gallery: int | None,
    *,
    classes: Sequence[np.ndarray] | None,
    self_index=None,
    ids=None,
    gallery_ids=None,
    groups=None,
    gallery_groups=None,
) -> Excluded:
    """Checks what says which items are left out; raises a ValueError.

    Without a gallery every item is left out of its own ranking at least.

    Args:
        name: the public function.
        queries: how many there are.
        gallery: how many items, None where it is the queries.
        classes: those of the queries and of the gallery, which `groups` need.
        self_index: as in ``evaluate``, and so are the others.
        ids: which item each query is.
        gallery_ids: those of the gallery.
        groups: those of the queries.
        gallery_groups: those of the gallery.
    """
    if self_index is not None:
        if gallery is None:
            raise ValueError(f"{name}: `self_index` must be None without a `gallery`")
        if ids is not None or gallery_ids is not None:
            raise ValueError(f"{name}: pass `self_index` or `ids`, not both")
    sizes = queries, gallery
    numbers = _checked_pair(name, "ids", ids, gallery_ids, *sizes)
    of_groups = _checked_pair(name, "groups", groups, gallery_groups, *sizes)
    if numbers is not None:
        query_ids, item_ids = numbers
        if gallery is None:  # an item is itself, whatever its id
            own = queries + np.arange(queries)
            query_ids = item_ids = np.where(query_ids < 0, own, query_ids)
    elif gallery is not None:
        index = checked_index(name, self_index, queries, gallery)
        query_ids, item_ids = np.where(index < 0, -1, index), np.arange(gallery)
    else:
        query_ids = item_ids = np.arange(queries)
    if of_groups is None:
        return Excluded(query_ids, item_ids)
    if classes is None:
        raise ValueError(f"{name}: `groups` go with `labels`; pass them, too")
    of_class = (
        np.where(group < 0, group, _pair(kind, group))
        for kind, group in zip(classes, of_groups, strict=True)
    )
    return Excluded(query_ids, item_ids, *_numbered_apart(*of_class))


def count_relevant(
    labels: Int[np.ndarray, " n"],
    gallery_labels: Int[np.ndarray, " m"] | None = None,
    *,
    ids: Int[np.ndarray, " n"] | None = None,
    gallery_ids: Int[np.ndarray, " m"] | None = None,
    groups: Int[np.ndarray, " n"] | None = None,
    gallery_groups: Int[np.ndarray, " m"] | None = None,
) -> Int[np.ndarray, " n"]:
    """How many gallery items are relevant to each query, by their labels alone.

    Args:
        labels: class of each query.
        gallery_labels: class of each gallery item, None where the queries are searched
            for among themselves.
        ids: which item each query is, as in ``evaluate``.
        gallery_ids: those of the gallery.
        groups: of the queries, as in ``evaluate``.
        gallery_groups: of the gallery.

    Returns:
        The number R of ``evaluate`` for each query.

    Raises:
        ValueError: wrong shape or dtype, or one of two that go together.

    Example:
        >>> count_relevant(np.array([0, 0, 0, 1]), groups=np.array([5, 5, 6, 6]))
        array([1, 1, 2, 0])
    """
    name, count = "count_relevant", len(labels)
    size = None if gallery_labels is None else len(gallery_labels)
    _, classes, gallery_classes = checked_classes(
        name, labels, gallery_labels, count, size
    )
    excluded = make_excluded(
        name,
        count,
        size,
        classes=(classes, gallery_classes),
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
    )
    counts = np.bincount(gallery_classes, minlength=classes.max() + 1)[classes]
    return counts - excluded.count_within(classes, gallery_classes)


def checked_classes(
    name: str, labels, gallery_labels, queries: int, gallery: int | None
) -> tuple[np.ndarray, ...]:
    """The distinct labels, and those of queries and gallery as indices into them.

    Without a gallery, of no size, the queries are it. Raises a ValueError.
    """
    labels = others = checked_labels(name, "labels", labels, queries)
    if gallery is not None:
        others = checked_labels(name, "gallery_labels", gallery_labels, gallery)
    return _numbered(labels, others)


def _numbered(labels: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, ...]:
    """The distinct labels, and both as indices into them."""
    if others is labels:
        known, classes = np.unique(labels, return_inverse=True)
        return known, classes, classes
    together = concatenate_labels(labels, others)
    known, classes = np.unique(together, return_inverse=True)
    return known, classes[: len(labels)], classes[len(labels) :]


def _checked_pair(name, word, values, gallery_values, queries, gallery):
    """Numbers of queries and gallery, None where nothing is given."""
    if gallery is None and gallery_values is not None:
        raise ValueError(
            f"{name}: `gallery_{word}` must be None without a `gallery`; pass `{word}`"
            " alone"
        )
    if gallery is not None and (values is None) != (gallery_values is None):
        raise ValueError(
            f"{name}: `{word}` and `gallery_{word}` must be given together"
        )
    if values is None:
        return None
    values = others = checked_labels(name, word, values, queries)
    if gallery is not None:
        others = checked_labels(name, f"gallery_{word}", gallery_values, gallery)
    return _numbered_apart(values, others)


def _numbered_apart(queries, gallery) -> tuple[np.ndarray, np.ndarray]:
    """Numbers from 0; what is below 0 is -1 in the queries and -2 in the gallery."""
    _, first, second = _numbered(queries, gallery)
    return np.where(queries < 0, -1, first), np.where(gallery < 0, -2, second)


def _pair(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """One number for two; -1 where either is below 0."""
    pair = one.astype(np.int64) * 2**32 + other
    return np.where((one < 0) | (other < 0), -1, pair)


def _matches(queries: np.ndarray, gallery: np.ndarray) -> Int[np.ndarray, " n"]:
    """How many of the gallery's numbers equal each of the queries'."""
    known, counts = np.unique(gallery, return_counts=True)
    place = np.minimum(np.searchsorted(known, queries), len(known) - 1)
    return np.where((queries >= 0) & (known[place] == queries), counts[place], 0)
