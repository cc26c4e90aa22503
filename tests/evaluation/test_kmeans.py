from unittest.mock import patch

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.cluster
from hypothesis import given, settings
from hypothesis import strategies as st

from jml.evaluation import kmeans
from jml.evaluation._clustering import _lloyd

from .cases import clusters, whole_rows


def check(x, found, limit=1e-5):
    """Every item is with its nearest centre, and the inertia is that."""
    x, centres = x.astype(np.float64), found.centres.astype(np.float64)
    squares = ((x[:, None] - centres) ** 2).sum(axis=2)
    own = squares[np.arange(len(x)), found.clusters]
    scale = ((x - x.mean(axis=0)) ** 2).sum(axis=1).max() or 1
    np.testing.assert_array_less(own - squares.min(axis=1), limit * scale)
    assert found.inertia == pytest.approx(own.sum(), abs=limit * scale, rel=limit)


@pytest.mark.parametrize("k", [1, 3, 12])
@settings(max_examples=25)
@given(x=whole_rows(12), seed=st.integers(0, 5))
def test_kmeans_clusters_are_those_of_the_nearest_centres(k, x, seed):
    found = kmeans(x, k, seed=seed)
    check(x, found)
    distinct = len(np.unique(x, axis=0))
    assert len(np.unique(found.clusters)) <= min(k, distinct)
    if k == 1:
        assert found.centres[0] == pytest.approx(x.mean(axis=0), abs=1e-5)
    if k >= distinct:
        assert found.inertia == pytest.approx(0, abs=1e-4)


def test_kmeans_with_as_many_clusters_as_items():
    x = clusters(40, 3, 1)[0]
    found = kmeans(x, 40)
    assert sorted(found.clusters) == list(range(40))
    assert found.inertia == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(found.centres[found.clusters], x, atol=1e-5)


def test_blocks_make_no_difference_to_kmeans():
    x = clusters(50, 3, 5)[0]
    whole = kmeans(x, 5)
    with patch.object(_lloyd, "BLOCK", 16):
        parts = kmeans(x, 5)
    assert parts.clusters.tolist() == whole.clusters.tolist()
    assert parts.inertia == pytest.approx(whole.inertia, rel=1e-5)


def test_kmeans_gives_the_same_clusters_for_a_seed():
    x = clusters(50, 3, 5)[0]
    runs = [kmeans(x, 5, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert runs[0].clusters.tolist() == runs[1].clusters.tolist()
    assert runs[0].inertia == runs[1].inertia
    assert len({run.inertia for run in runs}) > 1


@pytest.mark.parametrize("spread", [1, 3])
def test_kmeans_is_as_good_as_scikit_learn(spread):
    x = clusters(600, 8, 12, spread=spread)[0]
    ours = [kmeans(x, 12, seed=seed) for seed in range(6)]
    for found in ours:
        check(x, found)
        assert 1 < found.iterations < 300
    options = {"n_clusters": 12, "n_init": 1}
    theirs = [
        sklearn.cluster.KMeans(random_state=seed, **options).fit(x).inertia_
        for seed in range(6)
    ]
    assert np.mean([found.inertia for found in ours]) < 1.01 * np.mean(theirs)


def test_kmeans_starts_from_spread_out_centres():
    x = np.repeat(clusters(20, 3, 1)[0] * 100, 5, axis=0)
    found = kmeans(x, 20, max_iterations=0)  # twenty spots, and a centre on each
    assert found.iterations == 0
    assert found.inertia == pytest.approx(0, abs=1)


def test_kmeans_iterations_end_as_asked():
    x = clusters(600, 8, 12, spread=1)[0]
    assert kmeans(x, 12, max_iterations=2).iterations == 2
    rough, fine = kmeans(x, 12, tolerance=1), kmeans(x, 12, tolerance=0)
    assert rough.iterations < fine.iterations
    assert fine.inertia < rough.inertia
    sums = np.zeros_like(fine.centres)
    np.add.at(sums, fine.clusters, x)
    means = sums / np.bincount(fine.clusters)[:, None]  # it moved until it stood still
    np.testing.assert_allclose(fine.centres, means, atol=1e-4)


def test_an_empty_cluster_of_kmeans_starts_again_at_the_farthest_item():
    x, there = jnp.float32([[0], [1], [9], [5], [0]]), jnp.arange(5) < 4
    clusters, distances = jnp.array([0, 0, 0, 3, 0]), jnp.array([4.0, 1, 49, 9, 99])
    found = _lloyd._means(x, clusters, distances, there, jnp.zeros((4, 1)))
    np.testing.assert_allclose(found, [[10 / 3], [9], [5], [5]], rtol=1e-6)


@pytest.mark.parametrize("power", [-130, -60, 60, 110])
def test_kmeans_of_huge_and_tiny_embeddings(power):
    x = clusters(60, 4, 5, spread=3)[0]
    x = np.round(x * 2**10) / 2**10  # so that scaling is exact
    plain, scaled = kmeans(x, 5), kmeans(np.ldexp(x, power), 5)
    assert scaled.clusters.tolist() == plain.clusters.tolist()
    np.testing.assert_array_equal(scaled.centres, np.ldexp(plain.centres, power))
    # Centres below the smallest normal float lose digits.
    expected = np.ldexp(plain.inertia, 2 * power)
    assert scaled.inertia == pytest.approx(
        expected, rel=1e-12 if power < -120 else 0, abs=0
    )


def test_kmeans_of_embeddings_far_from_the_origin():
    x = clusters(60, 4, 5, spread=3)[0]
    x = np.round(x * 2**10) / 2**10  # so that adding is exact
    plain, far = kmeans(x, 5), kmeans(x + 1000, 5)
    assert far.inertia == pytest.approx(plain.inertia, rel=1e-4)
    np.testing.assert_allclose(far.centres, plain.centres + 1000, atol=1e-3)


def test_kmeans_in_float64(x64):
    x = np.float64(clusters(60, 4, 5, spread=3)[0])
    found = kmeans(x, 5)
    assert found.centres.dtype == np.float64
    check(x, found, limit=1e-12)


def test_the_inertia_of_tight_kmeans_clusters_keeps_its_digits():
    rng = np.random.default_rng(0)
    centres, labels = rng.normal(size=(10, 16)), np.arange(1000) % 10
    x = (centres[labels] + 1e-4 * rng.normal(size=(1000, 16))).astype(np.float32)
    found = kmeans(x, 10)
    means = np.stack([x[found.clusters == c].mean(0, dtype=float) for c in range(10)])
    expected = np.sum((x.astype(float) - means[found.clusters]) ** 2)
    assert found.inertia == pytest.approx(expected, rel=1e-2)
