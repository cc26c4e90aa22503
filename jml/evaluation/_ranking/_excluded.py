"""What rankings leave out: the query itself, its copies, and its own group."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool
from jaxtyping import Integer as Int

from jml.evaluation._inputs import checked_labels, checked_self_index

from ._numbering import count_equal, number_apart, pair


class Excluded(NamedTuple):
    """The gallery items left out of each ranking.

    A query leaves out the items with its id, and those of its class with its group. A
    negative number stands for no id or group: -1 for queries, -2 for gallery items, so
    that the two never match.
    """

    ids: Int[np.ndarray, " n"]
    gallery_ids: Int[np.ndarray, " m"]
    groups: Int[np.ndarray, " n"] | None = None  # numbers of (class, group) pairs
    gallery_groups: Int[np.ndarray, " m"] | None = None

    def pairs(self, queries: Any, items: Any) -> Bool[np.ndarray, "*k"]:
        """Whether these items are left out for these queries."""
        out = self.ids[queries] == self.gallery_ids[items]
        if self.groups is not None and self.gallery_groups is not None:
            out |= self.groups[queries] == self.gallery_groups[items]
        return out

    def among(self, queries: Any, items: Any) -> "Excluded":
        """What these queries leave out of these items."""
        ids, gallery_ids, groups, gallery_groups = self
        return Excluded(
            ids[queries],
            gallery_ids[items],
            None if groups is None else groups[queries],
            None if gallery_groups is None else gallery_groups[items],
        )

    def count_all(self) -> Int[np.ndarray, " n"]:
        """How many items each query leaves out."""
        one_class = np.zeros(len(self.ids), int), np.zeros(len(self.gallery_ids), int)
        return self.count_within(*one_class)

    def count_within(
        self, classes: Int[np.ndarray, " n"], gallery_classes: Int[np.ndarray, " m"]
    ) -> Int[np.ndarray, " n"]:
        """How many items of its own class each query leaves out."""
        out = count_equal(
            pair(classes, self.ids), pair(gallery_classes, self.gallery_ids)
        )
        if self.groups is not None and self.gallery_groups is not None:
            # Equal groups lie within a class. Items with the id as well count once.
            out += count_equal(self.groups, self.gallery_groups)
            out -= count_equal(
                pair(self.groups, self.ids), pair(self.gallery_groups, self.gallery_ids)
            )
        return out


def make_excluded(
    name: str,
    queries: int,
    gallery: int | None,
    *,
    classes: tuple[np.ndarray, np.ndarray] | None,
    self_index: Any = None,
    ids: Any = None,
    gallery_ids: Any = None,
    groups: Any = None,
    gallery_groups: Any = None,
) -> Excluded:
    """Checks the arguments that decide what is left out.

    Without a gallery every item leaves out at least itself.

    Args:
        name: the public function, for its errors.
        queries: number of queries.
        gallery: size of the gallery; None where it is the queries.
        classes: class of each query and of each gallery item; `groups` need them.
        self_index: as in ``evaluate``.
        ids: as in ``evaluate``.
        gallery_ids: as in ``evaluate``.
        groups: as in ``evaluate``.
        gallery_groups: as in ``evaluate``.

    Raises:
        ValueError: an argument has the wrong shape or dtype, or lacks its counterpart.
    """
    if self_index is not None:
        if gallery is None:
            raise ValueError(f"{name}: `self_index` must be None without a `gallery`")
        if ids is not None or gallery_ids is not None:
            raise ValueError(f"{name}: pass `self_index` or `ids`, not both")
    sizes = queries, gallery
    both_ids = _checked_pair(name, "ids", ids, gallery_ids, *sizes)
    both_groups = _checked_pair(name, "groups", groups, gallery_groups, *sizes)
    query_ids, item_ids = _identities(name, both_ids, self_index, *sizes)
    if both_groups is None:
        return Excluded(query_ids, item_ids)
    if classes is None:
        raise ValueError(f"{name}: `groups` go with `labels`; pass them, too")
    in_class = (
        np.where(group < 0, group, pair(of_items, group))
        for of_items, group in zip(classes, both_groups, strict=True)
    )
    return Excluded(query_ids, item_ids, *number_apart(*in_class))


def _identities(
    name: str,
    ids: tuple[np.ndarray, np.ndarray] | None,
    self_index: Any,
    queries: int,
    gallery: int | None,
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " m"]]:
    """The ids of queries and gallery, however the caller gave them."""
    if ids is not None:
        query_ids, item_ids = ids
        if gallery is None:  # an item without an id still leaves out itself
            unique = queries + np.arange(queries)
            query_ids = item_ids = np.where(query_ids < 0, unique, query_ids)
        return query_ids, item_ids
    if gallery is None:
        return np.arange(queries), np.arange(queries)
    index = checked_self_index(name, self_index, queries, gallery)
    return np.where(index < 0, -1, index), np.arange(gallery)


def _checked_pair(
    name: str,
    argument: str,
    values: Any,
    gallery_values: Any,
    queries: int,
    gallery: int | None,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Numbers of the queries' and the gallery's values; None where there are none."""
    if gallery is None and gallery_values is not None:
        raise ValueError(
            f"{name}: `gallery_{argument}` must be None without a `gallery`; pass"
            f" `{argument}` alone"
        )
    if gallery is not None and (values is None) != (gallery_values is None):
        raise ValueError(
            f"{name}: `{argument}` and `gallery_{argument}` must be given together"
        )
    if values is None:
        return None
    values = others = checked_labels(name, argument, values, queries)
    if gallery is not None:
        others = checked_labels(name, f"gallery_{argument}", gallery_values, gallery)
    return number_apart(values, others)
