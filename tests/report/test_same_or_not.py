"""The report's curves of same or not, beside plain counting of pairs."""

import numpy as np
import pytest

from jml.report import EmbeddedImages, _same_or_not
from jml.report._same_or_not import verification_curves

from .page import data_of
from .small import items


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
    query = items(120, 12)
    found = verification_curves(query, None, metric="euclidean", seed=3)
    assert not found["whole"] and found["items"] == 10 * found["classes"] <= 40
    other = verification_curves(query, None, metric="euclidean", seed=4)
    assert other["roc"] != found["roc"]


@pytest.mark.parametrize("labels", [np.zeros(5, int), np.arange(5)])
def test_without_two_kinds_of_pairs_there_is_no_curve(labels):
    query = EmbeddedImages(np.eye(5, dtype=np.float32), labels)
    assert verification_curves(query, None, metric="euclidean", seed=0) is None


def test_the_page_has_them(report):
    found = data_of(report)["verification"]
    assert found["items"] == 90 and found["roc"][-1] == [1, 1]
