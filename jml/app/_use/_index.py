"""An index for a service: measured against the exact answer, then written."""

from argparse import Namespace
from typing import Protocol

import numpy as np
from jaxtyping import Float32, Int64

from jml._output import write_err, write_out
from jml._whole_files import replace, writing
from jml.evaluation import nearest_neighbours

from ._gallery import metric_of, open_embeddings

QUERIES, K = 1000, 10
LARGEST_SHARE = 10  # at most a tenth of the vectors is left out
SEED = 0  # of which
# Relative; an item as far as the tenth is as good an answer, and indices round.
ROUNDING = 1e-6

Vectors = Float32[np.ndarray, "n d"]
Rows = Int64[np.ndarray, " n"]


class Index(Protocol):
    """An index of a library."""

    kind: str  # its structure and its settings
    reading: str  # what who reads it must know of the distances

    def build(self, vectors: Vectors, rows: Rows) -> None:
        """Trains it, if need be, and adds these rows of the vectors."""
        ...

    def search(self, queries: Vectors, k: int) -> Int64[np.ndarray, "q k"]:
        """Rows of the vectors that it has; -1 where it finds none."""
        ...

    def complete(self, vectors: Vectors) -> None:
        """Adds the other rows; afterwards the ids are the rows.

        The vectors may be changed: nobody needs them afterwards.
        """
        ...

    def write(self, path: str) -> None:
        """Writes the file."""
        ...


def write_index(options: Namespace) -> None:
    """Builds the index, measures it, and writes it."""
    embeddings = open_embeddings(options.what)
    metric = metric_of(options.what, embeddings, options.metric)
    vectors = np.ascontiguousarray(embeddings.vectors)
    index = _make(options, vectors.shape[1], metric)
    total, left = len(vectors), min(QUERIES, len(vectors) // LARGEST_SHARE)
    chosen = np.random.default_rng(SEED).permutation(total)
    queries, rows = np.sort(chosen[:left]), np.sort(chosen[left:])
    write_err(f"building the index of {total:,} vectors")
    index.build(vectors, rows)
    share = measure(index, vectors, queries, rows, metric) if left else None
    index.complete(vectors)
    with writing(options.out, "--out"):
        replace(options.out, lambda place: index.write(str(place)))
    dim = vectors.shape[1]
    write_out(f"{index.kind}: {total:,} vectors of {dim:,} numbers, {metric} distance")
    write_out(index.reading)
    write_out(_recall_line(share, left, min(K, len(rows))))
    write_out(f"written: {options.out}")


def _make(options: Namespace, dim: int, metric: str) -> Index:
    if options.to == "faiss":
        from ._faiss_index import FaissIndex

        return FaissIndex(
            dim, metric, options.factory, options.parameters, options.threads
        )
    from ._usearch_index import UsearchIndex

    return UsearchIndex(dim, metric, options.threads)


def measure(
    index: Index, vectors: Vectors, queries: Rows, rows: Rows, metric: str
) -> float:
    """The Recall@10: the share of the ten nearest rows that the index finds.

    Args:
        index: of `rows`, not of `queries`.
        vectors: all of them.
        queries: rows to search for.
        rows: that are searched.
        metric: "euclidean" or "cosine".
    """
    k = min(K, len(rows))
    found = index.search(vectors[queries], k)
    exact = nearest_neighbours(vectors[queries], vectors[rows], k=k, metric=metric)
    good = 0
    for query, answer, distances in zip(queries, found, exact.distances, strict=True):
        answer = np.unique(answer[answer >= 0])
        apart = _distances(vectors[query], vectors[answer], metric)
        good += np.count_nonzero(apart <= distances[-1] * (1 + ROUNDING))
    return min(good / (len(queries) * k), 1.0)


def _distances(query: np.ndarray, others: Vectors, metric: str) -> np.ndarray:
    x, y = query.astype(np.float64), others.astype(np.float64)
    if metric == "euclidean":
        return np.linalg.norm(x - y, axis=1)
    lengths = np.linalg.norm(x), np.linalg.norm(y, axis=1, keepdims=True)
    if not lengths[0]:
        return np.ones(len(y))
    unit = np.divide(y, lengths[1], out=np.zeros_like(y), where=lengths[1] > 0)
    apart = ((x / lengths[0] - unit) ** 2).sum(axis=1) / 2
    return np.where(lengths[1][:, 0] > 0, apart, 1.0)


def _recall_line(share: float | None, left: int, k: int) -> str:
    if share is None:
        return "Recall@10: not measured, with fewer than ten vectors"
    return (
        f"Recall@{k} against the exact answer: {100 * share:.2f} % ({left:,} random"
        " rows searched for among the others, before they were added)"
    )
