"""What peers define in their documentation and tests, written anew in NumPy.

Every function takes the relevance of a query's ranked items, the nearest first.
"""

import numpy as np
import pytest

from jml.evaluation import evaluate

from .cases import clusters

K = 3


# torchmetrics: functions of the targets, sorted by the predictions
def torchmetrics_average_precision(hits):
    positions = np.arange(1, len(hits) + 1)[hits]
    return ((np.arange(len(positions)) + 1) / positions).mean()


def torchmetrics_reciprocal_rank(hits):
    return 1 / (np.nonzero(hits)[0][0] + 1)


def torchmetrics_r_precision(hits):
    return hits[: hits.sum()].sum() / hits.sum()


def torchmetrics_hit_rate(hits):
    return float(hits[:K].sum() > 0)


# trec_eval: map, map_cut, Rprec, recip_rank and success
def trec_map_cut(hits, cut=None):
    total = found = 0
    for rank, relevant in enumerate(hits[:cut], 1):
        if relevant:
            found += 1
            total += found / rank
    return total / hits.sum()


def trec_r_precision(hits):
    return np.mean(hits[: hits.sum()])


def trec_success(hits):
    return float(any(hits[:K]))


# ranx: sums over the ranks of what is relevant
def ranx_average_precision(hits):
    precisions = [hits[: i + 1].mean() for i in range(len(hits)) if hits[i]]
    return sum(precisions) / hits.sum()


def ranx_reciprocal_rank(hits):
    return max((1 / (i + 1) for i in range(len(hits)) if hits[i]), default=0)


DEFINITIONS = {
    "map": [torchmetrics_average_precision, trec_map_cut, ranx_average_precision],
    "mrr": [torchmetrics_reciprocal_rank, ranx_reciprocal_rank],
    "r_precision": [torchmetrics_r_precision, trec_r_precision],
    f"recall@{K}": [torchmetrics_hit_rate, trec_success],
    f"map_relevant@{K}": [lambda hits: trec_map_cut(hits, K)],
}


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_metrics_of_each_query_are_those_that_peers_define(metric):
    x, labels = clusters(60, 4, 12)
    options = {"ks": (1, K), "map_ks": (K,), "clusterings": 0, "resamples": 0}
    found = evaluate(x, labels, metric=metric, **options)
    wide = np.float64(x)
    if metric == "cosine":
        wide /= np.linalg.norm(wide, axis=1, keepdims=True)
    for query in range(len(x)):
        distances = ((wide - wide[query]) ** 2).sum(axis=1)
        order = np.argsort(distances, kind="stable")
        hits = (labels[order] == labels[query])[order != query]
        for name, definitions in DEFINITIONS.items():
            actual = found.per_query[name][query]
            for definition in definitions:
                if hits.any():
                    assert actual == pytest.approx(definition(hits), abs=1e-12), name
                else:
                    assert np.isnan(actual)
