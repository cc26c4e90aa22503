import threading
import time

import jax
import numpy as np
import pytest
import sklearn.metrics as peer
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jml.evaluation import (
    add_clustering,
    adjusted_mutual_information,
    evaluate,
    kmeans,
    normalized_mutual_information,
)
from jml.evaluation._clustering import _scores

from .cases import clusters

SCORES = {
    normalized_mutual_information: peer.normalized_mutual_info_score,
    adjusted_mutual_information: peer.adjusted_mutual_info_score,
}
every_score = pytest.mark.parametrize("score", SCORES)


@st.composite
def partitions(draw):
    n, parts = draw(st.integers(1, 60)), st.integers(0, draw(st.integers(0, 59)))
    others = st.integers(-5, draw(st.integers(-5, 9)))
    one = draw(st.lists(parts, min_size=n, max_size=n))
    return np.array(one), np.array(draw(st.lists(others, min_size=n, max_size=n)))


def evaluated_early():
    x, labels = clusters(9, 2, 2)
    return evaluate(x, labels, clusterings=0), x, labels


def same(n):
    return np.zeros(n, int)


@every_score
@settings(max_examples=150)
@given(partitions())
@example((same(1), same(1)))
@example((same(9), same(9)))
@example((same(9), np.arange(9)))
@example((np.arange(9), same(9)))
@example((np.arange(9), np.arange(9)[::-1]))
@example((np.arange(2), np.arange(2)))
@example((np.arange(40) // 2, np.arange(40) // 2 + 3))
@example((np.arange(40) // 2, np.arange(40)))
@example((np.arange(40) // 20, np.arange(40) % 2))  # independent
def test_nmi_and_ami_equal_scikit_learn(score, pair):
    assert score(*pair) == pytest.approx(SCORES[score](*pair), abs=1e-9)
    assert score(*pair) == pytest.approx(score(*pair[::-1]), abs=1e-12)


@every_score
def test_nmi_and_ami_equal_scikit_learn_on_many_items(score):
    rng = np.random.default_rng(0)
    labels = rng.zipf(1.5, 20_000) % 500 - 2**40  # of all sizes
    parts = np.where(rng.random(20_000) < 0.5, labels, rng.integers(0, 300, 20_000))
    assert score(labels, parts) == pytest.approx(SCORES[score](labels, parts), abs=1e-9)


@every_score
@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_a_partition_agrees_with_itself(score, n):
    labels = np.random.default_rng(n).integers(0, max(n // 3, 1), n)
    for part in (labels, np.arange(n), same(n)):
        assert score(part, part * 3 - 8) == pytest.approx(1, abs=1e-12)


def test_evaluate_scores_the_clusters_of_kmeans():
    x, labels = clusters(60, 4, 5, spread=2)
    found = evaluate(x, labels, clusterings=3, resamples=0, seed=7)
    runs = [kmeans(x, 5, seed=seed).clusters for seed in (7, 8, 9)]
    for name, theirs in zip(("nmi", "ami"), SCORES.values(), strict=True):
        scores = [theirs(labels, run) for run in runs]
        assert found.metrics[name] == pytest.approx(np.mean(scores), abs=1e-9)
        assert found.intervals[name] == pytest.approx((min(scores), max(scores)))
        assert 0.2 < min(scores) < max(scores) < 0.95


def interrupt_clusterings(monkeypatch, cluster, clusterings):
    """Begins clusterings by this function, with a progress that is interrupted."""

    def progress(seeds):
        raise KeyboardInterrupt

    monkeypatch.setattr(_scores, "kmeans", cluster)
    early, x, labels = evaluated_early()
    with pytest.raises(KeyboardInterrupt):
        add_clustering(early, x, labels, clusterings=clusterings, progress=progress)


def test_after_an_error_in_the_progress_no_further_clustering_begins(monkeypatch):
    begun = []

    def clusters_slowly(x, k, seed):
        begun.append(seed)
        time.sleep(0.02)
        return kmeans(x, k, seed=seed)

    interrupt_clusterings(monkeypatch, clusters_slowly, 300)
    assert len(begun) < 300


def test_an_interrupt_does_not_wait_for_a_clustering(monkeypatch):
    release = threading.Event()

    def clusters_for_long(x, k, seed):
        release.wait(60)
        return kmeans(x, k, seed=seed)

    began = time.monotonic()
    interrupt_clusterings(monkeypatch, clusters_for_long, 2)
    assert time.monotonic() - began < 30
    release.set()


def test_seeds_are_clustered_with_the_settings_of_the_caller(monkeypatch):
    early, x, labels = evaluated_early()
    seen = []

    def kmeans_seen(x, k, seed):
        seen.append((jax.config.jax_enable_x64, jax.config.jax_default_device))
        return kmeans(x, k, seed=seed)

    monkeypatch.setattr(_scores, "kmeans", kmeans_seen)
    device = jax.devices()[0]
    with jax.enable_x64(True), jax.default_device(device):
        add_clustering(early, x, labels, clusterings=2)
    assert seen == [(True, device)] * 2


def test_evaluate_clusters_directions_for_the_cosine():
    x, labels = clusters(60, 4, 5, spread=2)
    far = x * 2.0 ** np.random.default_rng(0).integers(0, 9, (60, 1))
    options = {"clusterings": 2, "resamples": 0, "metric": "cosine"}
    found = evaluate(far, labels, **options).metrics
    unit = np.float64(x) / np.linalg.norm(np.float64(x), axis=1, keepdims=True)
    runs = [kmeans(unit, 5, seed=seed).clusters for seed in (0, 1)]
    scores = [peer.normalized_mutual_info_score(labels, run) for run in runs]
    assert found["nmi"] == pytest.approx(np.mean(scores), abs=1e-9)


def test_evaluate_clusters_the_queries_into_their_classes():
    x = np.float32([[0], [1], [10], [11]])
    labels, gallery = np.array([3, 3, 8, 8]), (np.float32([[5], [6]]), np.array([3, 9]))
    found = evaluate(x, labels, *gallery, resamples=0)
    assert found.metrics["nmi"] == found.metrics["ami"] == pytest.approx(1)


def test_without_clusterings_there_are_no_nmi_and_ami():
    found = evaluate(*clusters(9, 2, 2), clusterings=0)
    assert not {"nmi", "ami"} & (set(found.metrics) | set(found.intervals))


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_clustering_added_later_equals_evaluate_in_one(metric):
    x, labels = clusters(9, 2, 2)
    options = {"metric": metric, "seed": 5}
    once = evaluate(x, labels, **options, clusterings=2)
    early = evaluate(x, labels, **options, clusterings=0)
    found = add_clustering(early, x, labels, **options, clusterings=2)
    assert found.metrics == once.metrics and [*found.metrics] == [*once.metrics]
    assert found.intervals == once.intervals
    assert add_clustering(early, x, labels, clusterings=0) is early
    assert "nmi" not in early.metrics and "nmi" not in early.intervals
