"""What a report shows: which queries, their nearest neighbours, confused classes."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jml._value_checks import check_functions, check_integer, check_path, check_type
from jml.evaluation import (
    Evaluation,
    count_neighbours,
    count_relevant,
    nearest_neighbours,
)

NEIGHBOURS = 10  # searched for each query
SHOWN = 8  # of these, beside a query
MAX_QUERIES = 6000  # that are searched for
MAX_IMAGES = 6000  # that the page holds
MAX_POINTS = 2000  # of the map: t-SNE takes a second or two for them
MAX_CONFUSIONS = 20


class EmbeddedImages(NamedTuple):
    """Embeddings of images, with their labels: the queries or the gallery."""

    embeddings: Float[Array | np.ndarray, "n d"]
    labels: Int[Array | np.ndarray, " n"]
    # Square uint8 images, by slice or by array of indices; None if they are unknown.
    images: Any = None
    ids: Int[np.ndarray, " n"] | None = None  # as in ``evaluate``
    groups: Int[np.ndarray, " n"] | None = None  # as in ``evaluate``


class SearchResults(NamedTuple):
    """Some queries, in ascending order, and their nearest neighbours.

    Neighbours are numbered through: first the queries, then the gallery, if there is
    one.
    """

    queries: Int[np.ndarray, " q"]
    neighbours: Int[np.ndarray, "q k"]  # the nearest first
    right: Bool[np.ndarray, "q k"]  # whether they are of the query's class
    precision: Float[np.ndarray, " q"]  # average precision of the query
    relevant: Int[np.ndarray, " q"]  # items of the query's class that it could find


def check_report(folder: Any, query: Any, evaluation: Any, seed: Any, notify: Any):
    """Raises ValueError for arguments of ``write_report`` of the wrong kind."""
    check_path("write_report", "folder", folder)
    check_type("write_report", "query", query, EmbeddedImages, "EmbeddedImages")
    check_type("write_report", "evaluation", evaluation, Evaluation, "an Evaluation")
    if seed is not None:
        check_integer("write_report", "seed", seed)
    check_functions("write_report", notify=notify)


def as_arrays(argument: str, side: Any) -> Any:
    """The same as NumPy arrays, with embeddings in float32 or float64; None is None."""
    if side is None:
        return None
    check_type("write_report", argument, side, EmbeddedImages, "EmbeddedImages")
    embeddings = np.asarray(side.embeddings)
    if embeddings.dtype != np.float64:
        embeddings = embeddings.astype(np.float32)
    return side._replace(embeddings=embeddings, labels=np.asarray(side.labels))


def search_neighbours(
    query: EmbeddedImages,
    gallery: EmbeddedImages | None,
    evaluation: Evaluation,
    *,
    metric: str,
    seed: int,
    self_index: Int[np.ndarray, " n"] | None = None,
) -> SearchResults:
    """Searches for the measured queries or, of very many, for a random selection."""
    measured = np.flatnonzero(np.isfinite(evaluation.per_query["map"]))
    if len(measured) > MAX_QUERIES:
        rng = np.random.default_rng(seed)
        measured = np.sort(rng.choice(measured, MAX_QUERIES, replace=False))
    searched = query if gallery is None else gallery
    excluded = {"self_index": self_index, "ids": query.ids, "labels": query.labels}
    if query.groups is not None:
        excluded |= {"groups": query.groups}
    if gallery is not None:
        excluded |= {"gallery_ids": gallery.ids, "gallery_labels": gallery.labels}
        if query.groups is not None:
            excluded |= {"gallery_groups": gallery.groups}
    relevant = count_relevant(**excluded)[measured]
    fewest = count_neighbours(**excluded)[measured].min()
    neighbours, _ = nearest_neighbours(
        query.embeddings,
        None if gallery is None else gallery.embeddings,
        k=int(min(NEIGHBOURS, fewest)),
        rows=measured,
        metric=metric,
        **excluded,
    )
    labels = np.asarray(query.labels)[measured, None]
    right = np.asarray(searched.labels)[neighbours] == labels
    if gallery is not None:
        neighbours = neighbours + len(query.labels)
    precision = evaluation.per_query["map"][measured]
    return SearchResults(measured, neighbours, right, precision, relevant)


def choose_shown(
    results: SearchResults, classes: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " s"]:
    """Which of the results to show: all, if the page has room for their images.

    Otherwise the best and the worst queries, then one query of each class in turn.
    """
    near = results.neighbours[:, :SHOWN]
    images = np.unique([*results.queries, *near.ravel()])
    if len(images) <= MAX_IMAGES:
        return np.arange(len(results.queries))
    room = (MAX_IMAGES - MAX_POINTS) // (1 + near.shape[1])
    by_precision = np.argsort(results.precision, kind="stable")
    ends = room // 4
    first = np.concatenate([by_precision[:ends], by_precision[::-1][:ends]])
    turns = np.argsort(_number_within_class(classes[results.queries]), kind="stable")
    rest = turns[~np.isin(turns, first)][: room - len(first)]
    return np.sort(np.concatenate([first, rest]))


def _number_within_class(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """How many items of the same class come before each."""
    order = np.argsort(labels, kind="stable")
    sorted_labels = labels[order]
    starts = np.flatnonzero(np.r_[True, sorted_labels[1:] != sorted_labels[:-1]])
    sizes = np.diff(np.r_[starts, len(labels)])
    number = np.empty(len(labels), int)
    number[order] = np.arange(len(labels)) - np.repeat(starts, sizes)
    return number


class Confusion(NamedTuple):
    """Two classes whose queries have nearest neighbours of the other class."""

    classes: tuple[int, int]
    total: int  # queries of either class whose nearest neighbour is of the other
    queries: int  # queries of either class
    example: tuple[int, int]  # one of those queries, and its nearest neighbour


def confusions(
    results: SearchResults, classes: Int[np.ndarray, " n"]
) -> list[Confusion]:
    """The most confused pairs of classes, by the nearest neighbours."""
    of_queries = classes[results.queries]
    of_nearest = classes[results.neighbours[:, 0]]
    wrong = np.flatnonzero(of_queries != of_nearest)
    if not len(wrong):
        return []
    pairs = np.sort(np.stack([of_queries[wrong], of_nearest[wrong]], axis=1), axis=1)
    pairs, first, totals = np.unique(
        pairs, axis=0, return_index=True, return_counts=True
    )
    distinct, sizes = np.unique(of_queries, return_counts=True)
    size_of = dict(zip(distinct.tolist(), sizes.tolist(), strict=True))
    most_confused = []
    for i in np.argsort(-totals, kind="stable")[:MAX_CONFUSIONS]:
        one, other = pairs[i].tolist()
        row = wrong[first[i]]
        example = int(results.queries[row]), int(results.neighbours[row, 0])
        queries = size_of.get(one, 0) + size_of.get(other, 0)
        most_confused.append(Confusion((one, other), int(totals[i]), queries, example))
    return most_confused
