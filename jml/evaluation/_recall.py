"""The metrics of each query, and Recall@k alone."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Array, Float, Int

from jml.evaluation._ranking._inputs import check_count, to_numpy
from jml.evaluation._ranking._ranks import Progress, relevant_ranks
from jml.evaluation._ranking._search import Search, make_search

from ._retrieval import retrieval_metrics

KS = (1, 2, 4, 8)


def recall_at_k(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    gallery: Float[Array, "m d"] | None = None,
    gallery_labels: Int[Array, " m"] | None = None,
    *,
    ks: Sequence[int] | int | None = None,
    ids: Int[Array, " n"] | None = None,
    gallery_ids: Int[Array, " m"] | None = None,
    groups: Int[Array, " n"] | None = None,
    gallery_groups: Int[Array, " m"] | None = None,
) -> dict[int, float]:
    """Recall@k alone, as ``evaluate`` measures it, in less time for large classes.

    Args:
        embeddings: one row per query.
        labels: class of each query.
        gallery: the items to search, None for the queries themselves.
        gallery_labels: their classes.
        ks: how many neighbours to look at, each from 1 to the number of them; by
            default 1, 2, 4 and 8 where there are so many.
        ids: which item each row is, as in ``evaluate``.
        gallery_ids: those of the gallery.
        groups: of the queries, as in ``evaluate``.
        gallery_groups: of the gallery.

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
    )
    ks = _checked(name, "ks", ks, search)
    parts = [
        ranks[:, 0].copy() for _, ranks in relevant_ranks(search, nearest_only=True)
    ]
    first = np.concatenate(_some(name, parts))
    return {int(k): float(np.mean(first < k)) for k in ks}


def measure(
    name: str,
    search: Search,
    *,
    ks: Sequence[int] | int | None,
    map_ks: Sequence[int] | int,
    progress: Progress,
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """The queries that count, in order; each metric of each; their first hit's rank.

    Raises the ValueErrors of the public function `name`.
    """
    ks = _checked(name, "ks", ks, search)
    map_ks = _checked(name, "map_ks", map_ks, search)
    queries, firsts, parts = [], [], []
    for some, ranks in relevant_ranks(search, progress=progress):
        relevant = np.sum(ranks < len(search.gallery_classes), axis=1)
        parts.append(retrieval_metrics(ranks, relevant, ks=ks, map_ks=map_ks))
        queries.append(some)
        firsts.append(ranks[:, 0].copy())  # a view would keep all ranks
    order = np.argsort(np.concatenate(_some(name, queries)))
    values = {
        metric: np.concatenate([part[metric] for part in parts])[order]
        for metric in parts[0]
    }
    return np.concatenate(queries)[order], values, np.concatenate(firsts)[order]


def _checked(
    name: str, argument: str, ks: Sequence[int] | int | None, search: Search
) -> Sequence[int]:
    if ks is None:
        return [k for k in KS if k <= search.neighbours]
    if isinstance(ks, Iterable) and not hasattr(ks, "shape"):
        ks = list(ks)
    values = to_numpy(ks)
    ks = np.atleast_1d(values).tolist() if values.ndim < 2 else [ks]
    for k in ks:
        check_count(name, f"each of `{argument}`", k, search.neighbours)
    return ks


def _some(name: str, parts: list[np.ndarray]) -> list[np.ndarray]:
    if not parts:
        raise ValueError(f"{name}: no query has another item of its class to find")
    return parts
