"""What a report shows, as plain lists and numbers: what is chosen, and how it ended."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from jml.evaluation import Evaluation, nearest_neighbours

NEIGHBOURS = 8  # shown for each query
QUERIES = 6000  # the most that are looked at
PICTURES = 6000  # the most that the page holds
POINTS = 2000  # of the map: t-SNE takes some seconds for them
PAIRS = 20  # of confused classes


class Items(NamedTuple):
    """Embeddings, and what they are of."""

    embeddings: Float[np.ndarray, "n d"]
    labels: Int[np.ndarray, " n"]
    images: Any = None  # squares of uint8, by slice or array of indices; None: unknown
    ids: Int[np.ndarray, " n"] | None = None  # as ``evaluate`` takes them,
    groups: Int[np.ndarray, " n"] | None = None  # and these


class Looked(NamedTuple):
    """Some queries, in the order of their numbers, and their nearest neighbours.

    Items are numbered through: the queries first, then the gallery, if it is another.
    """

    rows: Int[np.ndarray, " q"]
    neighbours: Int[np.ndarray, "q k"]  # items, the nearest first
    right: Bool[np.ndarray, "q k"]  # whether they are of the query's class
    precision: Float[np.ndarray, " q"]  # average precision of the query


def as_arrays(items: Items) -> Items:
    """The same in NumPy, in floats that it can compute with."""
    embeddings = np.asarray(items.embeddings)
    if embeddings.dtype != np.float64:
        embeddings = embeddings.astype(np.float32)
    return items._replace(embeddings=embeddings, labels=np.asarray(items.labels))


def look(
    query: Items,
    gallery: Items | None,
    found: Evaluation,
    *,
    metric: str,
    seed: int,
    self_index: Int[np.ndarray, " n"] | None = None,
) -> Looked:
    """Searches for as many of the queries as a report can show."""
    searched = query if gallery is None else gallery
    counted = np.flatnonzero(np.isfinite(found.per_query["map"]))
    if len(counted) > QUERIES:
        rng = np.random.default_rng(seed)
        counted = np.sort(rng.choice(counted, QUERIES, replace=False))
    # As many as each query has, of few items: those that were counted have one.
    fewest = len(found.cmc) - (self_index is not None)
    more: dict[str, Any] = {"ids": query.ids}
    if gallery is not None:
        more |= {"gallery_ids": gallery.ids}
    if query.ids is not None:
        fewest -= max(_most_alike(searched.ids) - (gallery is None), 0)
    if query.groups is not None:
        more |= {"labels": query.labels, "groups": query.groups}
        if gallery is not None:
            more |= {"gallery_labels": gallery.labels}
            more |= {"gallery_groups": gallery.groups}
        fewest -= _most_alike(searched.groups, searched.labels)
    near = nearest_neighbours(
        query.embeddings,
        None if gallery is None else gallery.embeddings,
        k=min(NEIGHBOURS, max(fewest, 1)),
        rows=counted,
        metric=metric,
        self_index=self_index,
        **more,
    )
    right = searched.labels[near] == query.labels[counted, None]
    if gallery is not None:
        near = near + len(query.labels)
    return Looked(counted, near, right, found.per_query["map"][counted])


def _most_alike(*numbers: Int[np.ndarray, " m"]) -> int:
    """How many items agree in all numbers, at most; below 0 the first is none."""
    rows = np.stack(numbers)[:, numbers[0] >= 0]
    return int(np.unique(rows, axis=1, return_counts=True)[1].max()) if rows.size else 0


def choose_shown(
    looked: Looked, classes: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " s"]:
    """Which of the queries to show with their neighbours: all, if there is room.

    Otherwise the best and the worst, and then one of each class after the other.
    """
    if len(np.unique([*looked.rows, *looked.neighbours.ravel()])) <= PICTURES:
        return np.arange(len(looked.rows))
    count = (PICTURES - POINTS) // (1 + looked.neighbours.shape[1])
    by_precision = np.argsort(looked.precision, kind="stable")
    ends = count // 4
    first = np.concatenate([by_precision[:ends], by_precision[::-1][:ends]])
    turns = np.argsort(_number_within_class(classes[looked.rows]), kind="stable")
    rest = turns[~np.isin(turns, first)][: count - len(first)]
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
    """Two classes whose queries find one another first."""

    classes: tuple[int, int]
    count: int  # of queries of either whose nearest neighbour is of the other
    queries: int  # of either
    example: tuple[int, int]  # a query and its nearest neighbour


def confusions(looked: Looked, classes: Int[np.ndarray, " n"]) -> list[Confusion]:
    """The most confused pairs of classes, by the nearest neighbours."""
    mine, nearest = classes[looked.rows], classes[looked.neighbours[:, 0]]
    wrong = np.flatnonzero(mine != nearest)
    if not len(wrong):
        return []
    pairs = np.sort(np.stack([mine[wrong], nearest[wrong]], axis=1), axis=1)
    pairs, first, counts = np.unique(
        pairs, axis=0, return_index=True, return_counts=True
    )
    known, sizes = np.unique(mine, return_counts=True)
    size_of = dict(zip(known.tolist(), sizes.tolist(), strict=True))
    return [
        Confusion(
            (int(pairs[i, 0]), int(pairs[i, 1])),
            int(counts[i]),
            size_of.get(int(pairs[i, 0]), 0) + size_of.get(int(pairs[i, 1]), 0),
            (
                int(looked.rows[wrong[first[i]]]),
                int(looked.neighbours[wrong[first[i]], 0]),
            ),
        )
        for i in np.argsort(-counts, kind="stable")[:PAIRS]
    ]
