"""The curves of same or not: what a threshold of the distance accepts."""

from typing import Any

import numpy as np
from jaxtyping import Int

from jml._labels import concatenate_labels
from jml.evaluation import verification

from ._contents import EmbeddedImages

MOST_ITEMS = 15_000  # whose pairs are all compared, in a few seconds
MOST_GENUINE = 2 * 10**6  # pairs of one class, which cost more than others
MANY_CLASSES = 20  # fewer whole classes are no sample of the classes
DIGITS = 6  # of a rate on the page


def verification_curves(
    query: EmbeddedImages,
    gallery: EmbeddedImages | None,
    *,
    metric: str,
    self_index: Int[np.ndarray, " n"] | None = None,
    seed: int,
) -> dict[str, Any] | None:
    """ROC and DET over all pairs of the items, and what they are of.

    Queries and gallery are compared together, each item once. Of very many items, all
    those of some classes are taken, which `seed` draws.

    Returns:
        Points (FAR, TAR) of the ROC and (FAR, 1 - TAR) of the DET, without those that a
        logarithmic axis has no place for; None where there is no pair of one class, or
        none of two.
    """
    every = _numbered(_distinct_items(query, gallery, self_index))
    classes = np.asarray(every.labels)
    rows, by_class = choose_rows(classes, seed)
    labels = classes[rows]
    groups = None if every.groups is None else every.groups[rows]
    if len(np.unique(labels)) < 2 or not count_genuine(labels, groups):
        return None
    result = verification(
        every.embeddings[rows],
        labels,
        metric=metric,
        groups=groups,
        resamples=0,
        seed=seed,
    )
    far, tar = result.curve.far, result.curve.tar
    return {
        "roc": _points(far, tar),
        "det": _points(far, 1 - tar),
        "items": result.items,
        "classes": result.classes,
        "whole": result.items == len(classes),
        "total": len(classes),
        "by_class": by_class,
        "genuine": result.genuine,
        "impostors": result.impostors,
        "points": [
            (point.far, point.threshold, point.tar)
            for point in result.points
            if point.threshold is not None
        ],
        "auc": result.auc,
        "auc_error": result.auc_error,
        "eer": result.eer,
        "eer_threshold": result.eer_threshold,
    }


def _distinct_items(
    query: EmbeddedImages,
    gallery: EmbeddedImages | None,
    self_index: Int[np.ndarray, " n"] | None,
) -> EmbeddedImages:
    """The gallery, and the queries that are not in it; without images."""
    if gallery is None:
        return query._replace(images=None)
    new = np.ones(len(query.labels), bool)
    if self_index is not None:
        new &= np.asarray(self_index) < 0
    if query.ids is not None and gallery.ids is not None:
        new &= (query.ids < 0) | ~np.isin(query.ids, gallery.ids)
    labels = np.asarray(query.labels)[new], np.asarray(gallery.labels)
    groups = None
    if query.groups is not None and gallery.groups is not None:
        groups = concatenate_labels(query.groups[new], gallery.groups)
    return EmbeddedImages(
        np.concatenate([query.embeddings[new], gallery.embeddings]),
        concatenate_labels(*labels),
        groups=groups,
    )


def _numbered(items: EmbeddedImages) -> EmbeddedImages:
    """The items, with their labels and groups, which may be of any size, counted up."""
    groups = items.groups
    if groups is not None:
        groups = np.where(groups < 0, -1, np.unique(groups, return_inverse=True)[1])
    labels = np.unique(items.labels, return_inverse=True)[1]
    return items._replace(labels=labels, groups=groups)


def choose_rows(
    classes: Int[np.ndarray, " n"], seed: int
) -> tuple[Int[np.ndarray, " m"], bool]:
    """The rows of all items or, of very many, of some that are drawn.

    Whole classes are drawn, so that small ones keep their genuine pairs. Where only a
    few would fit, because they are large, items are drawn instead.

    Args:
        classes: of the items, numbered through.
        seed: seed of the selection.

    Returns:
        The rows, and whether they are all items of their classes.
    """
    sizes = np.bincount(classes)
    genuine = sizes * (sizes - 1) // 2
    if len(classes) <= MOST_ITEMS and genuine.sum() <= MOST_GENUINE:
        return np.arange(len(classes)), True
    rng = np.random.default_rng(seed)
    kept, room, pairs = np.zeros(len(sizes), bool), MOST_ITEMS, MOST_GENUINE
    for one in rng.permutation(len(sizes)).tolist():
        if sizes[one] <= room and genuine[one] <= pairs:
            kept[one] = True
            room, pairs = room - sizes[one], pairs - genuine[one]
    if kept.sum() >= MANY_CLASSES:
        return np.flatnonzero(kept[classes]), True
    share = min(1, (MOST_GENUINE / max(1, genuine.sum())) ** 0.5)
    number = min(MOST_ITEMS, int(share * len(classes)))
    return np.sort(rng.choice(len(classes), number, replace=False)), False


def count_genuine(
    classes: Int[np.ndarray, " n"], groups: Int[np.ndarray, " n"] | None
) -> int:
    """Pairs of one class, without those of one group, unless that is negative."""
    count = _pairs_of_equal(classes)
    if groups is None:
        return count
    together = np.stack([classes, groups])
    return count - _pairs_of_equal(together[:, groups >= 0])


def _pairs_of_equal(columns: Int[np.ndarray, "*k n"]) -> int:
    _, counts = np.unique(columns, return_counts=True, axis=-1)
    return int((counts * (counts - 1) // 2).sum())


def _points(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    kept = (x > 0) & (y > 0)
    pairs = zip(x[kept].tolist(), y[kept].tolist(), strict=True)
    return [(float(f"{a:.{DIGITS}g}"), float(f"{b:.{DIGITS}g}")) for a, b in pairs]
