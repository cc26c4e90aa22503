"""All that is measured of embeddings, in one call."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from ._clustering import adjusted_mutual_information, normalized_mutual_information
from ._inputs import Search, make_search
from ._kmeans import kmeans
from ._ranks import Progress, relevant_ranks
from ._retrieval import bootstrap_intervals, class_means, retrieval_metrics

KS = (1, 2, 4, 8)


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
    ks: Sequence[int] | None = None,
    map_ks: Sequence[int] = (),
    metric: str = "euclidean",
    self_index: Int[Array, " n"] | None = None,
    clusterings: int = 5,
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
    neighbours, and map_hits@k torchmetrics' RetrievalMAP with top_k. For k as large as
    the gallery all three are map, which is also scikit-learn's average_precision_score
    where no distances are equal.

    The time is that of one matrix product of queries and gallery, half where the
    queries are searched for among themselves; the matrix is never stored. The ranks are
    whole numbers, the same on one device and on several. Kinds of devices round
    distances differently, and so may order two items whose distances differ in the
    last digits of float32; float64 embeddings are computed in float64 only where JAX
    has it enabled.

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
        clusterings: how many times k-means runs; 0 for no nmi and ami. It takes a
            multiple of classes times items, see ``kmeans``.
        resamples: for the intervals: how many times as many queries are drawn, with
            replacement; 0 for no intervals.
        confidence: how much of the resampled means lies in an interval.
        seed: of the resampling and of the clusterings, which take `seed` and those
            after it.
        progress: wraps the loops that take long, to show how far they are.

    Returns:
        An ``Evaluation``. Queries without a relevant item are left out of all retrieval
        metrics, and counted. The intervals of nmi and ami are the range over the seeds.

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
    )
    neighbours = search.neighbours
    ks = [k for k in KS if k <= neighbours] if ks is None else ks
    counts = {"clusterings": clusterings, "resamples": resamples, "seed": seed}
    for name, value in counts.items():
        if value < 0:
            raise ValueError(f"evaluate: `{name}` must not be negative, got {value}")
    if not 0 < confidence < 1:
        raise ValueError(
            f"evaluate: `confidence` must be between 0 and 1, got {confidence}"
        )

    queries, values, first = _measure(
        "evaluate", search, ks=ks, map_ks=map_ks, progress=progress
    )
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

    count = len(search.queries)
    per_query = np.full((count, len(names)), np.nan)
    per_query[queries] = table
    present, classes = np.unique(search.classes, return_inverse=True)
    means = class_means(table, classes[queries], len(present))
    return Evaluation(
        metrics,
        intervals,
        confidence,
        len(queries),
        count - len(queries),
        np.cumsum(np.bincount(first, minlength=neighbours))[:neighbours] / len(queries),
        dict(zip(names, per_query.T, strict=True)),
        search.labels[present],
        np.bincount(classes[queries], minlength=len(present)),
        dict(zip(names, means.T, strict=True)),
    )


def recall_at_k(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    gallery: Float[Array, "m d"] | None = None,
    gallery_labels: Int[Array, " m"] | None = None,
    *,
    ks: Sequence[int] = KS,
) -> dict[int, float]:
    """Recall@k alone, as ``evaluate`` measures it.

    Args:
        embeddings: one row per query.
        labels: class of each query.
        gallery: the items to search, None for the queries themselves.
        gallery_labels: their classes.
        ks: how many neighbours to look at, each from 1 to the number of them.

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
    search = make_search(name, embeddings, labels, gallery, gallery_labels)
    _, values, _ = _measure(name, search, ks=ks)
    return {int(k): float(values[f"recall@{k}"].mean()) for k in ks}


def _check_numbers(name: str, argument: str, ks: Sequence[int], most: int) -> None:
    for k in ks:
        if not isinstance(k, int | np.integer) or not 1 <= k <= most:
            raise ValueError(
                f"{name}: each of `{argument}` must be an integer from 1 to {most}, the"
                f" number of items to find, got {k}"
            )


def _measure(
    name: str,
    search: Search,
    *,
    ks: Sequence[int],
    map_ks: Sequence[int] = (),
    progress: Progress = lambda steps: steps,
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """The queries that count, in order; each metric of each; their first hit's rank."""
    _check_numbers(name, "ks", ks, search.neighbours)
    _check_numbers(name, "map_ks", map_ks, search.neighbours)
    queries, firsts, parts = [], [], []
    for some, ranks in relevant_ranks(search, progress=progress):
        relevant = np.sum(ranks < len(search.gallery), axis=1)
        parts.append(retrieval_metrics(ranks, relevant, ks=ks, map_ks=map_ks))
        queries.append(some)
        firsts.append(ranks[:, 0])
    if not parts:
        raise ValueError(f"{name}: no query has another item of its class to find")
    order = np.argsort(np.concatenate(queries))
    values = {
        name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]
    }
    return np.concatenate(queries)[order], values, np.concatenate(firsts)[order]


def _clustering_scores(
    search: Search, seeds: Sequence[int], progress: Progress
) -> dict[str, list[float]]:
    classes = len(np.unique(search.classes))
    scores: dict[str, list[float]] = {"nmi": [], "ami": []}
    for seed in progress(seeds):
        clusters = kmeans(search.queries, classes, seed=seed).clusters
        scores["nmi"].append(normalized_mutual_information(search.classes, clusters))
        scores["ami"].append(adjusted_mutual_information(search.classes, clusters))
    return scores
