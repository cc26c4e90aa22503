from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, example, given, settings

from jml.evaluation import evaluate, recall_at_k
from jml.evaluation._ranking import _layout, _ranks

from . import oracles
from .cases import Case, among_themselves, axes, clusters, directions, with_a_gallery

# Rows of a tile, and how many targets may be kept: with none, tiles serve rows alone.
WAYS = [(16, _ranks.MAX_TARGETS), (16, 0), (1008, _ranks.MAX_TARGETS)]
every_way = pytest.mark.parametrize(
    ("tile", "most"),
    [WAYS[0], *(pytest.param(*way, marks=pytest.mark.slow) for way in WAYS[1:])],
)


def check(case, tile, most, metric="euclidean"):
    """Compares everything about retrieval with the oracle."""
    reach = len(case.gallery[0]) if case.gallery else len(case.x) - 1
    options = {"ks": sorted({1, reach}), "map_ks": sorted({min(3, reach), reach})}
    rows, curves = oracles.evaluation(case, metric=metric, **options)
    counted = [row for row in rows if row]
    assume(counted)
    with patch.object(_layout, "TILE", tile), patch.object(_ranks, "MAX_TARGETS", most):
        options |= {"metric": metric, "self_index": case.own}
        found = evaluate(*case.given, clusterings=0, resamples=0, **options)
    assert (found.queries, found.left_out) == (len(counted), len(rows) - len(counted))
    np.testing.assert_allclose(found.cmc, np.mean(curves, axis=0), atol=1e-12)
    assert list(found.class_labels) == sorted(set(case.labels))
    assert set(found.metrics) == set(found.per_query) == set(counted[0])
    for name, mean in found.metrics.items():
        values = np.array([row[name] if row else np.nan for row in rows], float)
        groups = [values[case.labels == label] for label in found.class_labels]
        groups = [group[~np.isnan(group)] for group in groups]
        means = [group.mean() if len(group) else np.nan for group in groups]
        assert mean == pytest.approx(np.nanmean(values), abs=1e-12), name
        got = found.per_query[name], found.per_class[name]
        for actual, expected in zip(got, (values, means), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-12)


@every_way
@settings(max_examples=30)
@given(among_themselves())
@example(Case(np.zeros((36, 2), np.float32), np.arange(36) % 9))  # nothing but ties
def test_evaluate_equals_the_definition(tile, most, case):
    check(case, tile, most)


@pytest.mark.parametrize("tile", [16, pytest.param(1008, marks=pytest.mark.slow)])
@settings(max_examples=40)
@given(with_a_gallery())
def test_evaluate_equals_the_definition_in_a_gallery(tile, case):
    check(case, tile, 0)


@pytest.mark.slow
@pytest.mark.parametrize(("tile", "most"), WAYS[:2])
@settings(max_examples=30)
@given(among_themselves(directions) | among_themselves(axes))
def test_evaluate_equals_the_definition_by_cosine(tile, most, case):
    check(case, tile, most, metric="cosine")


@pytest.mark.slow
@settings(max_examples=30)
@given(with_a_gallery(directions) | with_a_gallery(axes))
def test_evaluate_equals_the_definition_by_cosine_in_a_gallery(case):
    check(case, 16, 0, metric="cosine")


def test_evaluate_equals_three_rankings_worked_out_by_hand():
    # Ranks of the relevant: 1 and 3; 1 and 3; 3 and 2.
    found = evaluate(
        np.float32([[0], [1], [3], [4]]), np.array([0, 0, 1, 0]), map_ks=(2,)
    )
    expected = {
        "recall@1": 2 / 3,
        "recall@2": 1,
        "precision@1": 2 / 3,
        "map": (5 / 6 + 5 / 6 + 7 / 12) / 3,
        "map@r": (1 / 2 + 1 / 2 + 1 / 4) / 3,
        "r_precision": 1 / 2,
        "mrr": (1 + 1 + 1 / 2) / 3,
        "map@2": (1 / 2 + 1 / 2 + 1 / 4) / 3,
        "map_hits@2": (1 + 1 + 1 / 2) / 3,
    }
    for name, value in expected.items():
        assert found.metrics[name] == pytest.approx(value, abs=1e-12), name
    assert (found.queries, found.left_out) == (3, 1)
    assert found.cmc == pytest.approx([2 / 3, 1, 1])


def test_recall_at_k_equals_evaluate():
    x, labels = clusters(60, 4, 6)
    recall = recall_at_k(x, labels, ks=(4, 1))
    metrics = evaluate(x, labels, ks=(4, 1), clusterings=0).metrics
    assert recall == {4: metrics["recall@4"], 1: metrics["recall@1"]}
    assert list(recall) == [4, 1]
    assert recall_at_k(x, labels, x, labels, ks=[1]) == {1: 1.0}  # it finds itself


@pytest.mark.parametrize("n", [3, 5, 30])
def test_default_ks_stop_at_the_number_of_items(n):
    found = evaluate(*clusters(n, 2, 1), clusterings=0, resamples=0)
    ks = [name[7:] for name in found.metrics if name.startswith("recall@")]
    assert ks == {3: ["1", "2"], 5: ["1", "2", "4"], 30: ["1", "2", "4", "8"]}[n]
    assert len(found.cmc) == n - 1


@pytest.mark.parametrize("most", [_ranks.MAX_TARGETS, 0])
def test_progress_of_evaluate_sees_all_steps(most):
    seen = []

    def progress(steps):
        for step in steps:
            seen.append(step)
            yield step

    x, labels = clusters(60, 2, 6)
    with patch.object(_layout, "TILE", 16), patch.object(_ranks, "MAX_TARGETS", most):
        evaluate(x, labels, clusterings=2, resamples=0, progress=progress)
    assert len(seen) == 4 + 2  # blocks of queries, and clusterings


@pytest.mark.usefixtures("any_arguments")
@pytest.mark.parametrize("dtype", [np.int8, np.uint64])
def test_lists_and_integers_of_any_width_are_labels(dtype):
    x, labels = clusters(6, 2, 1)[0], np.array([1, 1, 2, 2, 3, 3], dtype)
    assert recall_at_k(x, labels, ks=[1]) == recall_at_k(x, labels.tolist(), ks=[1])
