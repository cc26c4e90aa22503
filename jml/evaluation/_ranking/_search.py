"""One search: queries, gallery, their classes, and what each ranking leaves out."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from jml._checks import check_choice
from jml._evaluation_limits import METRICS
from jml.evaluation._inputs import check_columns, checked_embeddings

from ._excluded import Excluded, make_excluded
from ._numbering import checked_classes
from ._spread_search import gather_numbers, make_spread_vectors
from ._vectors import Vectors


class Search(NamedTuple):
    """Queries and the gallery they are compared with."""

    vectors: Vectors
    classes: Int[np.ndarray, " n"]  # of the queries, as indices into `labels`
    gallery_classes: Int[np.ndarray, " m"]
    excluded: Excluded
    labels: np.ndarray  # the distinct labels, sorted

    @property
    def among_themselves(self) -> bool:
        """Whether the queries are the gallery."""
        return self.vectors.x is self.vectors.y

    @property
    def neighbours(self) -> int:
        """Size of the gallery, without the query itself where it is in there."""
        return len(self.gallery_classes) - self.among_themselves


def make_search(
    name: str,
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Int[Array | np.ndarray, " n"],
    gallery: Float[Array | np.ndarray, "m d"] | None,
    gallery_labels: Int[Array | np.ndarray, " m"] | None,
    *,
    metric: str = "euclidean",
    self_index: Int[Array | np.ndarray, " n"] | None = None,
    ids: Int[Array | np.ndarray, " n"] | None = None,
    gallery_ids: Int[Array | np.ndarray, " m"] | None = None,
    groups: Int[Array | np.ndarray, " n"] | None = None,
    gallery_groups: Int[Array | np.ndarray, " m"] | None = None,
    spread: bool = False,
) -> Search:
    """Checks the arguments of the public function `name`; raises its ValueErrors."""
    if (gallery is None) != (gallery_labels is None):
        raise ValueError(
            f"{name}: `gallery` and `gallery_labels` must be given together"
        )
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
            self_index,
            spread=spread,
        )
    )
    n, m = vectors.sizes[0], None if gallery is None else vectors.sizes[1]
    if gallery is None and n < 2:
        raise ValueError(f"{name}: needs two items at least, got {n}")
    distinct, *classes = checked_classes(name, labels, gallery_labels, n, m)
    excluded = make_excluded(
        name,
        n,
        m,
        self_index=self_index,
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
        classes=(classes[0], classes[1]),
    )
    return Search(vectors, classes[0], classes[1], excluded, distinct)


def make_sides(
    name: str,
    of_vectors: tuple[Any, Any, str],
    of_queries: Mapping[str, Any],
    of_items: Mapping[str, Any],
    *alike: Any,
    spread: bool,
) -> tuple[Vectors, list[Any], list[Any]]:
    """The vectors, and the labels, ids and groups of the queries and of the gallery.

    With `spread` those numbers are of all processes, as ``gather_numbers`` has them.

    Args:
        name: the public function, for its errors.
        of_vectors: embeddings, gallery and metric.
        of_queries: labels, ids and groups by name.
        of_items: those of the gallery.
        alike: other arguments that all processes pass alike.
        spread: whether processes share the gallery.
    """
    if not spread:
        vectors = make_vectors(name, *of_vectors)
        return vectors, [*of_queries.values()], [*of_items.values()]
    vectors = make_spread_vectors(name, *of_vectors)
    return vectors, *gather_numbers(name, vectors, of_queries, of_items, *alike)


def make_vectors(name: str, embeddings: Any, gallery: Any, metric: str) -> Vectors:
    """Checks queries and gallery; without a gallery the queries are it."""
    check_choice(name, "metric", metric, METRICS)
    x = y = checked_embeddings(name, "embeddings", embeddings)
    if gallery is not None:
        y = checked_embeddings(name, "gallery", gallery)
        check_columns(name, y, x)
        # A view is never `x` itself, by which `among_themselves` goes, even where both
        # arguments are one array.
        y = y.view()
    return Vectors(x, y, metric)


def count_copies(search: Search) -> int:
    """How many queries equal, bit for bit, a gallery row that they rank."""
    vectors, excluded = search.vectors, search.excluded
    query_hashes, item_hashes = (
        np.array(
            [hash(row.tobytes()) for row in rows.astype(vectors.dtype, copy=False)],
            np.int64,
        )
        for rows in (vectors.x, vectors.y)
    )
    order = np.argsort(item_hashes, kind="stable")
    low = np.searchsorted(item_hashes[order], query_hashes)
    high = np.searchsorted(item_hashes[order], query_hashes, side="right")
    copied = np.zeros(len(query_hashes), bool)
    for query in np.flatnonzero(low < high):
        items = vectors.start + order[low[query] : high[query]]
        copied[query] = not excluded.pairs(query, items).all()
    return int(np.count_nonzero(vectors.combined(np.logical_or, copied)))
