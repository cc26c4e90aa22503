"""The same numbers as pytorch-metric-learning's and scikit-learn's."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from sklearn.metrics import average_precision_score
from sklearn.neighbors import NearestNeighbors

from jml.evaluation import evaluate, recall_at_k

from .cases import PAIRS, Case, among_themselves, clusters, shuffled_labels, whole_rows
from .oracles import distances

PEERS = {
    "precision_at_1": "precision@1",
    "r_precision": "r_precision",
    "mean_average_precision_at_r": "map@r",
    "mean_average_precision": "map",
    "mean_reciprocal_rank": "mrr",
}


def nearest(query, k, reference, same_source):
    """A search that breaks ties by index; the first of the gallery are the queries."""
    matrix = torch.cdist(query.double(), reference.double()).square().round(decimals=9)
    if same_source:
        matrix.fill_diagonal_(torch.inf)
    return None, matrix.sort(dim=1, stable=True)[1][:, :k]


def peer(include, *arguments, k=None):
    calculator = AccuracyCalculator(
        include=tuple(include), device=torch.device("cpu"), knn_func=nearest, k=k
    )
    return calculator.get_accuracy(*arguments)


def check(case, ref_includes_query=False):
    arguments = (*case.given, ref_includes_query) if case.gallery else case.given
    expected = peer(PEERS, *arguments)
    if np.isnan(expected["precision_at_1"]):
        return  # no query counts, which is an error here
    own = case.own
    if case.gallery and own is None:
        own = np.full(len(case.x), -1)  # equal rows are other items
    options = {"self_index": own, "clusterings": 0, "resamples": 0}
    metrics = evaluate(*case.given, ks=[1], map_ks=[1], **options).metrics
    for theirs, ours in PEERS.items():
        assert metrics[ours] == pytest.approx(expected[theirs], abs=1e-6), ours
    # Of the three ways to cut average precision off, theirs divides by all relevant.
    cut = peer(["mean_average_precision"], *arguments, k=1)["mean_average_precision"]
    assert metrics["map_relevant@1"] == pytest.approx(cut, abs=1e-6)


@pytest.mark.slow
@settings(max_examples=25)
@given(among_themselves())
def test_evaluate_equals_pytorch_metric_learning(case):
    check(case)


@pytest.mark.slow
@settings(max_examples=25)
@given(st.data())
def test_evaluate_equals_pytorch_metric_learning_in_a_gallery(data):
    ours, theirs = data.draw(st.sampled_from(PAIRS))
    x, y = data.draw(whole_rows(sum(ours))), data.draw(whole_rows(sum(theirs)))
    labels, others = (
        data.draw(shuffled_labels(ours)),
        data.draw(shuffled_labels(theirs)),
    )
    check(Case(x, labels, (y, others)))
    y, others = np.concatenate([x, y]), np.concatenate([labels, others])
    own = np.arange(len(x))
    check(Case(x, labels, (y, others), own), ref_includes_query=True)


@pytest.mark.parametrize("k", [3, 20])
def test_evaluate_equals_pytorch_metric_learning_on_clusters(k):
    x, labels = clusters(200, 8, 30)
    check(Case(x, labels))
    cut = peer(["mean_average_precision"], x, labels, k=k)["mean_average_precision"]
    metrics = evaluate(x, labels, map_ks=[k], clusterings=0, resamples=0).metrics
    assert metrics[f"map_relevant@{k}"] == pytest.approx(cut, abs=1e-6)


def test_map_equals_the_average_precision_of_scikit_learn():
    x, labels = clusters(80, 4, 10)
    found = evaluate(x, labels, clusterings=0, resamples=0).per_query["map"]
    for i, value in enumerate(found):
        others = np.arange(len(x)) != i
        hits, far = labels[others] == labels[i], distances(x[i], x[others])
        assert value == pytest.approx(average_precision_score(hits, -far), abs=1e-9)


def check_neighbours(x, labels):
    search = NearestNeighbors(n_neighbors=9, algorithm="brute")
    near = search.fit(x.astype(np.float64)).kneighbors(return_distance=False)
    hit = labels[near] == labels[:, None]
    got = recall_at_k(x, labels)
    assert 0.2 < got[1] < got[2] < got[4] < got[8] < 1
    for k, recall in got.items():
        assert recall == pytest.approx(hit[:, :k].any(axis=1).mean(), abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, jnp.bfloat16])
def test_recall_equals_that_of_the_neighbours_of_scikit_learn(dtype):
    x, labels = clusters(700, 16, 40)
    check_neighbours(x.astype(dtype), labels)


def test_recall_in_float64_tells_apart_what_float32_does_not(x64):
    x, labels = clusters(700, 16, 40)
    x = 1e-4 * x.astype(np.float64)
    check_neighbours(np.concatenate([1 + x, -1 + x]), np.tile(labels, 2))


ROWS = np.float32([[0], [1], [10], [11]])  # each one's nearest is its neighbour


@pytest.mark.parametrize(
    ("labels", "dtype"),
    [
        ((2**24, 2**24 + 1), np.int64),
        ((2**53, 2**53 + 1), np.int64),
        ((-(2**62), 2**62), np.int64),
        ((0, 2**32), np.int64),
        ((2**64 - 1, 2**64 - 2), np.uint64),
    ],
)
def test_evaluate_keeps_large_labels_apart(labels, dtype):
    labels = np.array(labels * 2, dtype)
    found = evaluate(ROWS, labels, ks=[1, 2], clusterings=0, resamples=0)
    assert found.metrics["recall@1"] == 0
    assert found.class_labels.tolist() == sorted(set(labels.tolist()))


def test_pytorch_metric_learning_merges_large_labels():
    labels = np.array([2**24, 2**24 + 1] * 2)
    assert peer(["precision_at_1"], ROWS, labels)["precision_at_1"] == 1


def test_evaluate_compares_signed_with_unsigned_labels():
    signed = np.array([-1, 2**53, 2**62, 7])
    unsigned = np.array([2**64 - 1, 2**53 + 1, 2**62, 7], np.uint64)
    found = evaluate(ROWS, signed, ROWS + 0.125, unsigned, clusterings=0, resamples=0)
    assert (found.queries, found.left_out) == (2, 2)
    assert found.metrics["recall@1"] == 1
    assert found.class_labels.tolist() == sorted(signed.tolist())
