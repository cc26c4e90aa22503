"""The curves of same or not: what a threshold of the distance accepts."""

from typing import Any

import numpy as np
from jaxtyping import Int

from jml._labels import concatenate_labels
from jml.evaluation import verification

from ._contents import EmbeddedImages

MOST_ITEMS = 15_000  # whose pairs are all compared, in a few seconds
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
    every = _distinct_items(query, gallery, self_index)
    items = _of_some_classes(every, seed)
    try:
        result = verification(
            items.embeddings,
            items.labels,
            metric=metric,
            groups=items.groups,
            resamples=0,
            seed=seed,
        )
    except ValueError:  # the embeddings were evaluated: only pairs can be missing
        return None
    far, tar = result.curve.far, result.curve.tar
    return {
        "roc": _points(far, tar),
        "det": _points(far, 1 - tar),
        "items": result.items,
        "classes": result.classes,
        "whole": result.items == len(every.labels),
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


def _of_some_classes(items: EmbeddedImages, seed: int) -> EmbeddedImages:
    """All items if they are few, or else those of classes that are drawn.

    Labels and groups, which may be of any size, are numbered through.
    """
    _, classes, sizes = np.unique(items.labels, return_inverse=True, return_counts=True)
    rows, groups = slice(None), items.groups
    if groups is not None:
        groups = np.where(groups < 0, -1, np.unique(groups, return_inverse=True)[1])
    if len(classes) > MOST_ITEMS:
        drawn = np.random.default_rng(seed).permutation(len(sizes))
        taken = drawn[: max(2, np.searchsorted(np.cumsum(sizes[drawn]), MOST_ITEMS))]
        rows = np.flatnonzero(np.isin(classes, taken))
    return EmbeddedImages(
        items.embeddings[rows],
        classes[rows],
        groups=None if groups is None else groups[rows],
    )


def _points(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    kept = (x > 0) & (y > 0)
    pairs = zip(x[kept].tolist(), y[kept].tolist(), strict=True)
    return [(float(f"{a:.{DIGITS}g}"), float(f"{b:.{DIGITS}g}")) for a, b in pairs]
