"""Ranks where vectors are much nearer to each other than to their common centre."""

from unittest.mock import patch

import numpy as np
import pytest

from jml.evaluation import evaluate, kmeans, nearest_neighbours, recall_at_k
from jml.evaluation._ranking import _close, _ranks
from jml.evaluation._ranking._search import make_search

N, D = 300, 16
RETRIEVAL = {"clusterings": 0, "resamples": 0}


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def inputs():
    """Embeddings by name, and labels of six items each."""
    rng = np.random.default_rng(0)
    labels = np.arange(N) // 6
    base = rng.normal(size=(N // 6, D))[labels] + rng.normal(size=(N, D))
    groups = rng.normal(size=(20, D))[rng.integers(0, 20, N)]
    side = np.where(rng.random(N) < 0.5, 100.0, -100.0)[:, None] * np.eye(D)[0]
    mixed = np.where(rng.random((N, 1)) < 0.5, 1e3 * groups + 0.01 * base, base)
    copies = (1e3 * groups + 0.01 * base)[rng.integers(0, N // 3, N)]
    return labels, {
        "plain": base,
        "one far centre": 1000 + 0.001 * base,
        "two groups": side + 0.01 * base,
        "many groups": 1e3 * groups + 0.1 * base,
        "very tight groups": 1e4 * groups + 0.01 * base,
        "tight groups on the sphere": unit(unit(groups) + 3e-4 * base),
        "close classes on the sphere": unit(
            rng.normal(size=(N // 6, D))[labels] + 0.05 * rng.normal(size=(N, D))
        ),
        "all about one direction": unit(np.eye(D)[0] + 1e-3 * base),
        "one outlier": np.concatenate([base[:-1], np.full((1, D), 1e6)]),
        "columns of different scale": base * np.logspace(-3, 3, D),
        "groups and others": mixed,
        "copies": copies,
        "tiny": 1e-20 * (side + 0.01 * base),
        "huge": 1e18 * (side + 0.01 * base),
        "small beside large": np.where(rng.random((N, 1)) < 0.3, 1.0, 1e-20) * base,
        "one far outlier": np.concatenate([1e-3 * base[:-1], np.full((1, D), 1e16)]),
        "lengths apart": (side + 0.01 * base) * np.logspace(-9, 9, N)[:, None],
    }


LABELS, INPUTS = inputs()
LENGTHS = ("tiny", "huge", "one outlier", "one far outlier")  # not the cosine's concern
CASES = [
    (name, metric)
    for name in INPUTS
    for metric in ("euclidean", "cosine")
    if metric == "euclidean" or name not in LENGTHS
]
every_case = pytest.mark.parametrize(("name", "metric"), CASES)
QUICK = ("plain", "very tight groups", "copies", "lengths apart")
few_quick_cases = pytest.mark.parametrize(
    ("name", "metric"),
    [
        pytest.param(*case, marks=() if case[0] in QUICK else pytest.mark.slow)
        for case in CASES
    ],
)


def squared(x, y, metric="euclidean"):
    """Squared distances in float64, of the directions for the cosine."""
    x, y = np.float64(x), np.float64(y)
    if metric == "cosine":
        x, y = unit(x), unit(y)
    return ((x[:, None] - y[None]) ** 2).sum(axis=2)


def check_ranks(search, truth, relevant):
    """Ranks may differ among distances that are equal to 1e-5 of themselves."""
    seen = 0
    for queries, rows in _ranks.relevant_ranks(search):
        for query, row in zip(queries, rows, strict=True):
            order = np.argsort(truth[query], kind="stable")
            expected = np.flatnonzero(relevant[query][order])
            actual = row[row < len(order)]
            assert len(set(actual)) == len(actual) == len(expected)
            in_order = truth[query][order]
            one, other = in_order[expected], in_order[actual]
            assert (np.abs(one - other) <= 1e-5 * one).all()
            seen += 1
    assert seen == relevant.any(axis=1).sum()


@few_quick_cases
@pytest.mark.parametrize("way", ["few", "many", "sorted", "rows alone"])
def test_ranks_are_those_of_float64(name, metric, way):
    x = INPUTS[name].astype(np.float32)
    truth = squared(x, x, metric)
    np.fill_diagonal(truth, np.inf)
    relevant = (LABELS[:, None] == LABELS) & ~np.eye(N, dtype=bool)
    search = make_search("test", x, LABELS, None, None, metric=metric)
    change = {
        "few": (_close, "HEAVY", np.inf),  # all by differences
        "many": (_close, "HEAVY", 0),  # all by float64 products first
        "sorted": (_ranks, "SORT_ABOVE", 0),
        "rows alone": (_ranks, "MAX_TARGETS", 0),
    }[way]
    with patch.object(*change):
        check_ranks(search, truth, relevant)


@every_case
def test_ranks_in_a_gallery_are_those_of_float64(name, metric):
    x = INPUTS[name].astype(np.float32)
    y, others, x, labels = x[100:], LABELS[100:], x[:100], LABELS[:100]
    others = np.roll(others, 7)
    relevant = labels[:, None] == others
    search = make_search("test", x, labels, y, others, metric=metric)
    check_ranks(search, squared(x, y, metric), relevant)


@every_case
@pytest.mark.parametrize("k", [1, 40])
def test_neighbours_are_those_of_float64(name, metric, k):
    x = INPUTS[name].astype(np.float32)
    truth = squared(x, x, metric)
    np.fill_diagonal(truth, np.inf)
    found, _ = nearest_neighbours(x, k=k, metric=metric)
    actual = np.take_along_axis(truth, found, axis=1)
    np.testing.assert_allclose(actual, np.sort(truth, axis=1)[:, :k], rtol=1e-5)
    assert (np.sort(found)[:, 1:] != np.sort(found)[:, :-1]).all()


@pytest.mark.parametrize("name", ["two groups", "many groups", "groups and others"])
def test_recall_is_that_of_float64(name):
    x = INPUTS[name].astype(np.float32)
    truth = squared(x, x)
    np.fill_diagonal(truth, np.inf)
    hits = LABELS[np.argsort(truth, axis=1, kind="stable")] == LABELS[:, None]
    expected = {k: hits[:, :k].any(axis=1).mean() for k in (1, 4)}
    assert recall_at_k(x, LABELS, ks=(1, 4)) == pytest.approx(expected)
    metrics = evaluate(x, LABELS, ks=(1, 4), **RETRIEVAL).metrics
    assert metrics["recall@1"] == pytest.approx(expected[1])
    assert metrics["recall@4"] == pytest.approx(expected[4])


def test_the_first_neighbours_of_two_far_groups():
    rng, n = np.random.default_rng(0), 600
    labels = np.arange(n) // 6
    base = rng.normal(size=(100, D))[labels] + rng.normal(size=(n, D))
    side = np.where(rng.random(n) < 0.5, 100.0, -100.0)
    x = (side[:, None] * np.eye(D)[0] + 0.01 * base).astype(np.float32)
    found = evaluate(x, labels, ks=1, **RETRIEVAL).metrics
    assert found["recall@1"] == pytest.approx(0.3317, abs=1e-4)


@pytest.mark.parametrize("name", ["many groups", "very tight groups"])
def test_kmeans_items_are_with_their_nearest_centre(name):
    x = INPUTS[name].astype(np.float32)
    found = kmeans(x, 60)
    truth = squared(x, found.centres)
    own = truth[np.arange(N), found.clusters]
    np.testing.assert_allclose(own, truth.min(axis=1), rtol=1e-5)
    assert found.inertia == pytest.approx(own.sum(), rel=1e-9)
    # Sixty centres for twenty groups: no centre is wasted between groups.
    assert own.max() < 1


def test_copies_tie_in_rankings_whichever_way_they_are_compared():
    x = INPUTS["copies"].astype(np.float32)
    truth = squared(x, x)
    np.fill_diagonal(truth, np.inf)
    found, _ = nearest_neighbours(x, k=N - 1)
    for query in range(0, N, 7):
        _, copy = np.unique(x[found[query]], axis=0, return_inverse=True)
        edges = np.flatnonzero(np.diff(copy)) + 1
        for run in np.split(found[query], edges):
            assert (np.diff(run) > 0).all()  # copies come by index


@pytest.mark.parametrize("name", ["plain", "copies", "many groups"])
def test_sorted_rows_give_the_ranks_that_are_counted(name):
    x, labels = INPUTS[name].astype(np.float32), np.arange(N) % 2
    search, ranks = make_search("test", x, labels, None, None), []
    for above in (0, N):
        with patch.object(_ranks, "SORT_ABOVE", above):
            parts = list(_ranks.relevant_ranks(search))
        order = np.argsort(np.concatenate([queries for queries, _ in parts]))
        ranks.append(np.concatenate([rows for _, rows in parts])[order])
    np.testing.assert_array_equal(*ranks)


def test_no_two_items_have_one_rank_where_a_target_is_at_the_threshold():
    # One relevant item is just below the distance that products cannot order, another
    # just above it: both are ordered by differences, and neither counts twice.
    rng = np.random.default_rng(0)
    for _ in range(60):
        y = unit(rng.normal(size=(16, 8)))
        probe = make_search("test", y, np.zeros(16, int), None, None)
        close = probe.vectors.products(np.dtype(np.float32)).close[0]
        radii = np.sqrt(close) * (1 + 1e-7 * rng.integers(-20, 20, 15))
        y[1:] = y[0] + radii[:, None] * unit(rng.normal(size=(15, 8)))
        labels = np.array([0] * 4 + [1] * 12)
        x = y.astype(np.float32)
        truth = squared(x, x)
        np.fill_diagonal(truth, np.inf)
        relevant = (labels[:, None] == labels) & ~np.eye(16, dtype=bool)
        check_ranks(make_search("test", x, labels, None, None), truth, relevant)
