"""Recall@k alone."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from ._measure import check_any_relevant, checked_ks
from ._ranking import make_search, relevant_ranks


def recall_at_k(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Int[Array | np.ndarray, " n"],
    gallery: Float[Array | np.ndarray, "m d"] | None = None,
    gallery_labels: Int[Array | np.ndarray, " m"] | None = None,
    *,
    ks: Sequence[int] | int | None = None,
    ids: Int[Array | np.ndarray, " n"] | None = None,
    gallery_ids: Int[Array | np.ndarray, " m"] | None = None,
    groups: Int[Array | np.ndarray, " n"] | None = None,
    gallery_groups: Int[Array | np.ndarray, " m"] | None = None,
    spread: bool = False,
) -> dict[int, float]:
    """Recall@k alone: ``evaluate``'s value, but faster where classes are large.

    Args:
        embeddings: one row per query.
        labels: class of each query.
        gallery: one row per gallery item; None to search the queries among themselves.
        gallery_labels: class of each gallery item.
        ks: numbers of nearest neighbours, each from 1 to the number of items to find;
            by default 1, 2, 4 and 8, as far as there are so many items.
        ids: which item each query is, as in ``evaluate``.
        gallery_ids: which item each gallery item is.
        groups: group of each query, as in ``evaluate``.
        gallery_groups: group of each gallery item.
        spread: whether processes share the gallery, as in ``evaluate``.

    Returns:
        A fraction from 0 to 1 for each k, in the order of `ks`.

    Raises:
        ValueError: as ``evaluate`` does.

    Example:
        >>> embeddings = np.float32([[0], [1], [3], [4]])
        >>> recall_at_k(embeddings, np.array([0, 0, 1, 0]), ks=(1, 3))
        {1: 0.6666666666666666, 3: 1.0}
    """
    name = "recall_at_k"
    search = make_search(
        name,
        embeddings,
        labels,
        gallery,
        gallery_labels,
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
        spread=spread,
    )
    checked = checked_ks(name, "ks", ks, search)
    parts = [
        ranks[:, 0].copy() for _, ranks in relevant_ranks(search, nearest_only=True)
    ]
    check_any_relevant(name, parts)
    first = np.concatenate(parts)
    return {int(k): float(np.mean(first < k)) for k in checked}
