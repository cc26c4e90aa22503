"""What is searched for in what: vectors, classes, and what is left out of a ranking."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from jml._checks import check_choice

from ._excluded import Excluded, checked_classes, make_excluded
from ._inputs import METRICS, check_columns, checked_embeddings
from ._vectors import Vectors


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
    n, m = len(vectors.x), None if gallery is None else len(vectors.y)
    if (gallery is None) != (gallery_labels is None):
        raise ValueError(
            f"{name}: `gallery` and `gallery_labels` must be given together"
        )
    if gallery is None and n < 2:
        raise ValueError(f"{name}: needs two items at least, got 1")
    known, *classes = checked_classes(name, labels, gallery_labels, n, m)
    excluded = make_excluded(
        name,
        n,
        m,
        self_index=self_index,
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
        classes=classes,
    )
    return Search(vectors, *classes, excluded, known)


def make_vectors(name: str, embeddings, gallery, metric: str) -> Vectors:
    """Checks queries and gallery; without one the queries are it."""
    check_choice(name, "metric", metric, METRICS)
    x = y = checked_embeddings(name, "embeddings", embeddings)
    if gallery is not None:
        y = checked_embeddings(name, "gallery", gallery)
        check_columns(name, y, x)
        y = y.view()  # not `x` itself, even where it is the same array
    return Vectors(x, y, metric)


def count_copies(search: Search) -> int:
    """How many queries equal, bit for bit, a gallery row that they rank."""
    vectors, excluded = search.vectors, search.excluded
    hashes, others = (
        np.array(
            [hash(row.tobytes()) for row in rows.astype(vectors.dtype, copy=False)]
        )
        for rows in (vectors.x, vectors.y)
    )
    order = np.argsort(others, kind="stable")
    low = np.searchsorted(others[order], hashes)
    high = np.searchsorted(others[order], hashes, side="right")
    return sum(
        not excluded.pairs(query, order[low[query] : high[query]]).all()
        for query in np.flatnonzero(low < high)
    )
