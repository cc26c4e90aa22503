"""The report's curves of same or not, beside plain counting of pairs."""

import numpy as np
import pytest

from jml.evaluation import verification
from jml.report import EmbeddedImages, _plots, _same_or_not
from jml.report._same_or_not import choose_rows, count_genuine, verification_curves

from .page import data_of
from .small import items, write


def counted(x, labels, kept=None):
    """FAR and TAR at each distance, by comparing all pairs."""
    i, j = np.triu_indices(len(labels), 1)
    distances = np.linalg.norm(np.float64(x[i]) - x[j], axis=1)
    genuine = labels[i] == labels[j]
    impostors = distances[~genuine]
    genuine = distances[genuine if kept is None else genuine & kept(i, j)]
    at = np.unique(np.concatenate([genuine, impostors]))
    return [(float(np.mean(impostors <= t)), float(np.mean(genuine <= t))) for t in at]


def check(found, expected):
    roc = [(far, tar) for far, tar in expected if far > 0 and tar > 0]
    det = [(far, 1 - tar) for far, tar in expected if far > 0 and tar < 1]
    np.testing.assert_allclose(found["roc"], roc, rtol=1e-5)
    np.testing.assert_allclose(found["det"], det, rtol=1e-5)


def test_all_pairs_of_the_queries():
    query = items(30, 4)
    found = verification_curves(query, None, metric="euclidean", seed=0)
    check(found, counted(*query[:2]))
    assert (found["items"], found["classes"], found["whole"]) == (30, 4, True)
    expected = verification(*query[:2], resamples=0)
    for name in ("genuine", "impostors", "auc", "eer"):
        assert found[name] == getattr(expected, name), name
    points = [(p.far, p.threshold, p.tar) for p in expected.points if p.threshold]
    assert found["points"] == points and len(points) == 2


@pytest.mark.parametrize("known_by", ["ids", "self_index", "nothing"])
def test_a_query_that_is_in_the_gallery_is_one_item(known_by):
    query, gallery = items(12, 4), items(20, 4, seed=1)
    x = np.concatenate([query.embeddings[6:], gallery.embeddings])
    labels = np.concatenate([query.labels[6:], gallery.labels])
    gallery = gallery._replace(
        embeddings=np.concatenate([gallery.embeddings, query.embeddings[:6]]),
        labels=np.concatenate([gallery.labels, query.labels[:6]]),
    )
    x = np.concatenate([x, query.embeddings[:6]])
    labels = np.concatenate([labels, query.labels[:6]])
    options = {}
    if known_by == "ids":
        query = query._replace(ids=np.array([*range(6), *[-1] * 6]))
        gallery = gallery._replace(ids=np.array([*range(10, 30), *range(6)]))
    elif known_by == "self_index":
        options["self_index"] = np.array([*range(20, 26), *[-1] * 6])
    else:  # then they are other items
        x = np.concatenate([x, query.embeddings[:6]])
        labels = np.concatenate([labels, query.labels[:6]])
    found = verification_curves(query, gallery, metric="euclidean", seed=0, **options)
    check(found, counted(x, labels))


def test_pairs_of_one_class_and_group_are_left_out():
    groups = np.random.default_rng(0).integers(-1, 2, 30)
    query = items(30, 4)._replace(groups=groups)
    found = verification_curves(query, None, metric="euclidean", seed=0)
    apart = lambda i, j: (groups[i] != groups[j]) | (groups[i] < 0)  # noqa: E731
    check(found, counted(*query[:2], apart))


def test_of_very_many_items_whole_classes_are_drawn(monkeypatch):
    monkeypatch.setattr(_same_or_not, "MOST_ITEMS", 40)
    monkeypatch.setattr(_same_or_not, "MANY_CLASSES", 2)
    query = items(120, 12)
    found = verification_curves(query, None, metric="euclidean", seed=3)
    assert not found["whole"] and found["items"] == 10 * found["classes"] <= 40
    assert found["total"] == 120 and found["by_class"]
    other = verification_curves(query, None, metric="euclidean", seed=4)
    assert other["roc"] != found["roc"]


@pytest.mark.parametrize("bound", ["MOST_ITEMS", "MOST_GENUINE"])
def test_of_few_large_classes_items_are_drawn(monkeypatch, bound):
    monkeypatch.setattr(_same_or_not, bound, {"MOST_ITEMS": 63}.get(bound, 2000))
    classes = np.arange(400) % 4
    rows, by_class = choose_rows(classes, seed=0)
    assert not by_class and np.bincount(classes[rows]).min() > 5
    if bound == "MOST_ITEMS":
        assert len(rows) == 63
    else:
        assert 1500 < count_genuine(classes[rows], None) < 2500


def test_genuine_pairs_are_those_that_verification_counts():
    rng = np.random.default_rng(0)
    classes, groups = rng.integers(0, 4, 60), rng.integers(-1, 3, 60)
    x = rng.normal(size=(60, 4))
    for grouped in (None, groups):
        counted = verification(x, classes, groups=grouped, resamples=0).genuine
        assert count_genuine(classes, grouped) == counted


def test_a_report_without_pairs_is_written_and_drops_an_earlier_plot(tmp_path):
    plot = tmp_path / "report" / "verification.png"
    plot.parent.mkdir()
    plot.write_text("of an earlier run")
    data = data_of(write(tmp_path, items(9, 1, images=False)))
    assert data["verification"] is None and not plot.exists()


def test_classes_far_from_each_other_have_a_plot_without_a_det(tmp_path):
    x = (np.arange(20) % 2 * 99 + np.arange(20) / 99)[:, None]
    query = EmbeddedImages(x, np.arange(20) % 2)
    found = verification_curves(query, None, metric="euclidean", seed=0)
    assert (found["auc"], found["eer"], found["det"]) == (1, 0, [])
    _plots._verification(found).savefig(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size


def test_without_a_pair_of_two_groups_there_is_no_curve():
    x, groups = np.float32([[0], [1], [3]]), np.array([5, 5, 5])
    query = EmbeddedImages(x, np.array([1, 1, 2]), groups=groups)
    assert verification_curves(query, None, metric="euclidean", seed=0) is None


@pytest.mark.parametrize("labels", [np.zeros(5, int), np.arange(5)])
def test_without_two_kinds_of_pairs_there_is_no_curve(labels):
    query = EmbeddedImages(np.eye(5, dtype=np.float32), labels)
    assert verification_curves(query, None, metric="euclidean", seed=0) is None


def test_the_page_has_them(report):
    found = data_of(report)["verification"]
    assert found["items"] == 90 and found["roc"][-1] == [1, 1]
