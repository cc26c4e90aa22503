"""What a report chooses to show, against plain counting."""

import numpy as np
import pytest

from jml.evaluation import evaluate
from jml.report import EmbeddedImages, _contents
from jml.report._contents import (
    SearchResults,
    choose_shown,
    confusions,
    search_neighbours,
)
from jml.report._curves import cmc_points, readable, training_curves
from jml.report._page_data import class_table, metric_rows
from jml.report._suspicious import suspicious

from .page import data_of
from .small import RECORDS, items, write


@pytest.mark.parametrize("with_gallery", [False, True])
def test_the_report_searches_for_the_queries_that_were_measured(with_gallery):
    query = items(40, 7)
    query.labels[3] = 99  # alone
    gallery = items(30, 7, seed=1) if with_gallery else None
    searched = gallery or query
    evaluation = evaluate(*query[:2], *(gallery[:2] if gallery else ()), clusterings=0)
    results = search_neighbours(query, gallery, evaluation, metric="euclidean", seed=0)
    assert results.queries.tolist() == [i for i in range(40) if i != 3]
    same = (searched.labels == query.labels[results.queries, None]).sum(axis=1)
    assert results.relevant.tolist() == (same - (not with_gallery)).tolist()
    for row, near, right in zip(*results[:3], strict=True):
        gaps = np.linalg.norm(searched.embeddings - query.embeddings[row], axis=1)
        if not with_gallery:
            gaps[row] = np.inf
        order = np.argsort(gaps)[:10]
        assert (near - 40 * with_gallery).tolist() == order.tolist()
        same = searched.labels[order] == query.labels[row]
        assert right.tolist() == same.tolist()


def made_up(n, k=2, seed=0):
    rng = np.random.default_rng(seed)
    near = rng.integers(0, n, (n, k))
    return SearchResults(
        np.arange(n), near, np.zeros((n, k), bool), rng.uniform(size=n), np.full(n, k)
    )


def test_the_report_shows_all_queries_if_there_is_room():
    assert choose_shown(made_up(50), np.arange(50) % 5).tolist() == list(range(50))


def test_the_report_shows_best_worst_and_every_class_of_many_queries(monkeypatch):
    monkeypatch.setattr(_contents, "MAX_IMAGES", 90)
    monkeypatch.setattr(_contents, "MAX_POINTS", 0)
    results, labels = made_up(200), np.repeat(np.arange(10), 20)
    shown = choose_shown(results, labels)
    assert len(shown) == len(set(shown)) == 30
    order = np.argsort(results.precision)
    assert {*order[:7], *order[-7:]} <= set(shown)
    assert set(labels[shown]) == set(range(10))


def test_confusions_count_both_directions():
    labels = np.array([0, 0, 0, 1, 1, 2])
    near = np.array([[3], [1], [4], [0], [3], [5]])  # 0->1, right, 0->1, 1->0, right...
    results = SearchResults(
        np.arange(6), near, labels[near] == labels[:, None], np.zeros(6), np.ones(6)
    )
    (pair,) = confusions(results, labels)
    assert pair == ((0, 1), 3, 5, (0, 3))
    nothing = results._replace(neighbours=np.array([[1], [0], [1], [4], [3], [5]]))
    assert confusions(nothing, labels) == []


def test_items_whose_neighbours_have_another_label_come_first():
    query = items(120, 6)
    centres = np.random.default_rng(9).normal(size=(6, 8))
    query = query._replace(embeddings=centres[query.labels] + query.embeddings / 99)
    wrong = [7, 70]  # one of each of two classes
    classes, true = query.labels.copy(), query.labels[wrong]
    classes[wrong] = (true + 1) % 6
    query = query._replace(labels=classes)
    evaluation = evaluate(*query[:2], clusterings=0)
    results = search_neighbours(query, None, evaluation, metric="euclidean", seed=0)
    found = suspicious(results, classes)
    assert {one.item for one in found} == set(wrong)
    for one in found:
        assert (one.same, one.others, len(one.neighbours)) == (0, 10, 10)
        assert one.other == true[wrong.index(one.item)]


def test_the_share_of_a_small_class_is_that_of_as_many_neighbours():
    # A class of three among many others: its items have no more than two to find.
    labels = np.r_[[0, 0, 0], np.full(20, 1)]
    x = np.r_[[[0.0], [1], [2]], 9 + np.arange(20.0)[:, None]]
    query = EmbeddedImages(x, labels)
    evaluation = evaluate(x, labels, clusterings=0)
    results = search_neighbours(query, None, evaluation, metric="euclidean", seed=0)
    assert suspicious(results, labels) == []
    labels[3] = 0  # the first of the others: now a wrong label
    evaluation = evaluate(x, labels, clusterings=0)
    results = search_neighbours(query, None, evaluation, metric="euclidean", seed=0)
    (one,) = suspicious(results, labels)
    assert one == (3, (4, 5, 6), 0, 1, 3)


def test_suspicious_items_come_by_their_share_and_are_not_too_many():
    results, labels = made_up(200, k=10), np.repeat(np.arange(10), 20)
    right = labels[results.neighbours] == labels[:, None]
    results = results._replace(right=right, relevant=np.full(200, 19))
    found = suspicious(results, labels)
    assert len(found) == 24
    keys = [(one.same, results.precision[one.item]) for one in found]
    share = right.sum(axis=1)
    expected = sorted(zip(share.tolist(), results.precision.tolist(), strict=True))
    assert keys == expected[:24]
    for one in found:
        counts = np.bincount(labels[list(one.neighbours)], minlength=10)
        counts[labels[one.item]] = 0
        assert counts[one.other] == counts.max() == one.others


def test_tables_of_the_report_hold_the_evaluation():
    query = items(40, 7)
    query.labels[3] = 99
    evaluation = evaluate(*query[:2], map_ks=(5,), clusterings=0, resamples=20)
    rows = {row[0]: row for row in metric_rows(evaluation)}
    assert set(rows) == set(evaluation.metrics) - {"precision@1"}
    name, value, low, high, meaning = rows["map@5"]
    assert (value, low, high) == (evaluation.metrics[name], *evaluation.intervals[name])
    assert meaning.endswith("over min(R, 5)")
    table = class_table(evaluation, np.array([0, 99, 100]), {0: "zero"})
    assert table["name"] == ["zero", "99", "100"]
    assert table["queries"] == [np.sum(query.labels == 0), 0, 0]
    assert table["recall"] == [evaluation.per_class["recall@1"][0], None, None]
    assert cmc_points(evaluation.cmc)[0] == (1, evaluation.metrics["recall@1"])
    assert [k for k, _ in cmc_points(evaluation.cmc)][-1] == 39


def test_training_curves_are_those_of_the_records():
    curves = training_curves(RECORDS)
    assert curves["loss"] == [(i, pytest.approx(1 / i)) for i in range(1, 31)]
    assert curves["recall"] == [(0, 0.1), (30, 0.6)]
    assert curves["baselines"] == [("raw pixels", 0.2)]
    many = [{"step": i, "loss": float(i)} for i in range(1, 4001)]
    assert training_curves(many)["loss"][0] == (10, 5.5)
    odd = [{"step": 1, "loss": float("nan")}, {"step": "1", "loss": 2}, {"loss": [1]}]
    assert readable([*odd, RECORDS[2]]) == [RECORDS[2]]
    assert training_curves([]) == {"loss": [], "recall": [], "baselines": []}


def test_a_query_that_is_in_the_gallery_is_not_its_own_neighbour():
    query, own = items(40, 7), np.arange(40)
    evaluation = evaluate(*query[:2], *query[:2], self_index=own, clusterings=0)
    results = search_neighbours(
        query, query, evaluation, metric="euclidean", seed=0, self_index=own
    )
    assert not (results.neighbours == own[:, None] + 40).any()
    assert results.right[:, 0].mean() == pytest.approx(evaluation.metrics["recall@1"])


def test_every_class_is_in_the_report_and_labels_of_any_size_keep_apart(tmp_path):
    query, gallery = items(30, 15), items(20, 15, seed=1)
    query = query._replace(labels=query.labels.astype(np.int64) + 2**60)
    gallery = gallery._replace(labels=gallery.labels.astype(np.uint64) + 2**60)
    data = data_of(write(tmp_path, query, gallery))
    assert data["classes"]["name"] == [str(2**60 + i) for i in range(15)]
    assert data["classes"]["queries"] == [2] * 15
