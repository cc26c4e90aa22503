"""All that is measured of embeddings, in one call."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from jml.evaluation._clustering._agreement import (
    adjusted_mutual_information,
    normalized_mutual_information,
)
from jml.evaluation._clustering._kmeans import kmeans
from jml.evaluation._ranking._inputs import SEEDS, check_at_most
from jml.evaluation._ranking._ranks import Progress
from jml.evaluation._ranking._search import Search, count_copies, make_search

from ._recall import measure
from ._retrieval import bootstrap_intervals, class_means

CLUSTERINGS = 5
CLUSTERING_WORK = 2e10  # multiplications


class Evaluation(NamedTuple):
    """What ``evaluate`` measured."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]  # around the metrics,
    confidence: float  # where the mean of so many resamples lies
    queries: int  # how many were counted,
    left_out: int  # and how many not, for want of a relevant item
    cmc: Float[np.ndarray, " k"]  # Recall@k for k from 1 to the size of the gallery
    per_query: dict[str, Float[np.ndarray, " n"]]  # NaN for those left out
    class_labels: Int[np.ndarray, " c"]  # the classes of the queries, sorted
    class_queries: Int[np.ndarray, " c"]  # how many of each were counted
    per_class: dict[str, Float[np.ndarray, " c"]]  # means over them


def evaluate(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    gallery: Float[Array, "m d"] | None = None,
    gallery_labels: Int[Array, " m"] | None = None,
    *,
    ks: Sequence[int] | int | None = None,
    map_ks: Sequence[int] | int = (),
    metric: str = "euclidean",
    self_index: Int[Array, " n"] | None = None,
    ids: Int[Array, " n"] | None = None,
    gallery_ids: Int[Array, " m"] | None = None,
    groups: Int[Array, " n"] | None = None,
    gallery_groups: Int[Array, " m"] | None = None,
    clusterings: int | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Progress = lambda steps: steps,
) -> Evaluation:
    r"""Measures how well embeddings retrieve and cluster, exactly.

    Every query ranks the gallery by distance and, where that is equal, by index.
    Without a gallery every item is a query against all the others. A gallery item is
    relevant if it has the query's label. Let query $i$ have $R_i$ relevant items, at
    the ranks $r_1 < r_2 < \dots$, from 1. Each metric is the mean over queries of

    ================== ==========================================================
    recall@k           1 if $r_1 \le k$, else 0; for all k, the CMC curve
    precision@1        the same as recall@1
    map                $\frac{1}{R} \sum_{l \le R} l / r_l$, over the whole ranking
    map@r              the same sum over $r_l \le R$ (Musgrave et al., 2020)
    r_precision        the fraction of the first R that is relevant
    mrr                $1 / r_1$
    map@k              $\frac{1}{\min(R, k)} \sum_{r_l \le k} l / r_l$
    map_relevant@k     the same sum divided by R, all relevant items
    map_hits@k         the same sum divided by the hits among the first k
    nmi, ami           normalised and adjusted mutual information of the labels with
                       k-means clusters of the queries, as many as classes, averaged
                       over `clusterings` seeds
    ================== ==========================================================

    The last three of average precision are told apart by few: map@k is the usual one,
    map_relevant@k is pytorch-metric-learning's mean_average_precision for so many
    neighbours, and others divide by the hits. For k as large as the gallery all three
    are map, which is also scikit-learn's average_precision_score where no distances are
    equal.

    The time is that of one matrix product of queries and gallery, half of it where the
    queries are searched for among themselves, and of R comparisons for each of its
    entries or, where R exceeds some hundreds, of sorting its rows. The matrix is never
    stored.

    Ranks are those of the float64 distances of the vectors given, but that two
    distances that differ by less than 1e-5 of themselves may be taken for equal or come
    in either order. Where vectors are much nearer to each other than to their common
    centre, float32 products are not enough. Such pairs are subtracted first; where they
    are most of the pairs, as in a few tight groups far apart, products are made anew in
    float64, and the whole takes about three times as long. Equal rows are tied, and
    ranks are the same on one device and on several.

    Args:
        embeddings: one row per query.
        labels: class of each query, integers of any size.
        gallery: the items to search, None for the queries themselves.
        gallery_labels: their classes.
        ks: how many neighbours Recall@k looks at, each from 1 to their number; by
            default 1, 2, 4 and 8 where there are so many.
        map_ks: the same for average precision among the first k.
        metric: "euclidean" or "cosine". The cosine with a row of zeros is 0.
        self_index: where in the gallery each query itself is, to be left out; -1 where
            it is not. Without a gallery, a query is left out of its own ranking anyway.
        ids: which item each query is, where `self_index` does not say it: gallery
            items with the id of a query, however many, are left out of its ranking.
            Ids below 0 are equal to none.
        gallery_ids: those of the gallery.
        groups: of the queries, such as the camera or the sequence that each is from.
            Gallery items with the label and the group of a query are neither relevant
            nor ranked, as in Market-1501's protocol. Groups below 0 are equal to none.
        gallery_groups: of the gallery.
        clusterings: how many times k-means runs; 0 for no nmi and ami. By default 5,
            or 0 where a single step of it takes over 2e10 multiplications: hours for
            the whole, with the classes of Stanford Online Products on a few cores.
        resamples: for the intervals: how many times as many queries are drawn, with
            replacement; 0 for no intervals. They say what other queries of the same
            classes would give; other classes would differ by more.
        confidence: how much of the resampled means lies in an interval.
        seed: of the resampling and of the clusterings, which take `seed` and those
            after it.
        progress: wraps the loops that take long, to show how far they are.

    Returns:
        An ``Evaluation``. Queries without a relevant item are left out of all retrieval
        metrics, and counted. The intervals of nmi and ami are the range over the seeds.

    Warns:
        UserWarning: there is a gallery and neither `self_index` nor `ids`, and queries
            equal rows of it bit for bit; says how many.

    Raises:
        ValueError: wrong shape or dtype, a number out of range, an entry that is NaN or
            infinite, or no query with a relevant item.

    Example:
        >>> embeddings = np.float32([[0], [1], [3], [4]])
        >>> found = evaluate(embeddings, np.array([0, 0, 1, 0]), ks=(1, 3))
        >>> found.queries, found.left_out
        (3, 1)
        >>> {name: round(found.metrics[name], 3) for name in ("recall@1", "map", "mrr")}
        {'recall@1': 0.667, 'map': 0.75, 'mrr': 0.833}
    """
    search = make_search(
        "evaluate",
        embeddings,
        labels,
        gallery,
        gallery_labels,
        metric=metric,
        self_index=self_index,
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
    )
    neighbours = search.neighbours
    classes = len(np.unique(search.classes))
    if clusterings is None:
        work = search.vectors.x.size * classes
        clusterings = CLUSTERINGS if work <= CLUSTERING_WORK else 0
    check_at_most("evaluate", 10**6, clusterings=clusterings, resamples=resamples)
    check_at_most("evaluate", SEEDS - clusterings, seed=seed)
    if not 0 < confidence < 1:
        raise ValueError(
            f"evaluate: `confidence` must be between 0 and 1, got {confidence}"
        )

    queries, values, first = measure(
        "evaluate", search, ks=ks, map_ks=map_ks, progress=progress
    )
    if gallery is not None and self_index is None and ids is None:
        _warn_of_copies(search)
    names = list(values)
    table = np.stack([values[name] for name in names], axis=1)
    metrics = dict(zip(names, table.mean(axis=0).tolist(), strict=True))
    intervals = {}
    if resamples:
        bounds = bootstrap_intervals(
            table, resamples=resamples, confidence=confidence, seed=seed
        )
        pairs = map(tuple, bounds.tolist())
        intervals = dict(zip(names, pairs, strict=True))
    if clusterings:
        scores = _clustering_scores(search, range(seed, seed + clusterings), progress)
        metrics |= {name: float(np.mean(runs)) for name, runs in scores.items()}
        intervals |= {name: (min(runs), max(runs)) for name, runs in scores.items()}

    count = len(search.classes)
    per_query = np.full((count, len(names)), np.nan)
    per_query[queries] = table
    present, index = np.unique(search.classes, return_inverse=True)
    means = class_means(table, index[queries], len(present))
    return Evaluation(
        metrics,
        intervals,
        confidence,
        len(queries),
        count - len(queries),
        np.cumsum(np.bincount(first, minlength=neighbours))[:neighbours] / len(queries),
        dict(zip(names, per_query.T, strict=True)),
        search.labels[present],
        np.bincount(index[queries], minlength=len(present)),
        dict(zip(names, means.T, strict=True)),
    )


def _warn_of_copies(search: Search) -> None:
    copies = count_copies(search)
    if copies:
        warnings.warn(
            f"evaluate: {copies:,} of {len(search.classes):,} queries equal a gallery"
            " row bit for bit, and so are their own nearest neighbours; pass"
            " `self_index` or `ids` to leave them out of their own rankings",
            stacklevel=3,
        )


def _clustering_scores(
    search: Search, seeds: Sequence[int], progress: Progress
) -> dict[str, list[float]]:
    classes = len(np.unique(search.classes))
    vectors = search.vectors
    x = vectors.rows(0, slice(None)).astype(vectors.x.dtype)
    scores: dict[str, list[float]] = {"nmi": [], "ami": []}
    for seed in progress(seeds):
        clusters = kmeans(x, classes, seed=seed).clusters
        scores["nmi"].append(normalized_mutual_information(search.classes, clusters))
        scores["ami"].append(adjusted_mutual_information(search.classes, clusters))
    return scores
