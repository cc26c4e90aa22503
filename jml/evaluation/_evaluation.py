"""The result of ``evaluate``, and how it is put together."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

from ._measure import QueryMetrics
from ._ranking import Search
from ._retrieval import class_means


class Evaluation(NamedTuple):
    """What ``evaluate`` measured."""

    metrics: dict[str, float]
    # Of each metric: the interval that holds this fraction of the resampled means.
    intervals: dict[str, tuple[float, float]]
    confidence: float
    queries: int  # that have a relevant item, and are measured
    left_out: int  # queries without a relevant item
    cmc: Float[np.ndarray, " k"]  # Recall@k for k from 1 to the size of the gallery
    per_query: dict[str, Float[np.ndarray, " n"]]  # NaN for queries left out
    class_labels: Int[np.ndarray, " c"]  # the labels of the queries, sorted
    class_queries: Int[np.ndarray, " c"]  # measured queries of each class
    per_class: dict[str, Float[np.ndarray, " c"]]  # means over these queries


def make_evaluation(
    search: Search,
    measured: QueryMetrics,
    metrics: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
    confidence: float,
) -> Evaluation:
    """Adds the curve, and the metrics of each query and class, to the means."""
    n, queries, names = len(search.classes), measured.queries, measured.names
    per_query = np.full((n, len(names)), np.nan)
    per_query[queries] = measured.values
    hits = np.bincount(measured.first, minlength=search.neighbours)
    distinct, index = np.unique(search.classes, return_inverse=True)
    means = class_means(measured.values, index[queries], len(distinct))
    return Evaluation(
        metrics=dict(metrics),
        intervals=dict(intervals),
        confidence=confidence,
        queries=len(queries),
        left_out=n - len(queries),
        cmc=np.cumsum(hits)[: search.neighbours] / len(queries),
        per_query=dict(zip(names, per_query.T, strict=True)),
        class_labels=search.labels[distinct],
        class_queries=np.bincount(index[queries], minlength=len(distinct)),
        per_class=dict(zip(names, means.T, strict=True)),
    )
