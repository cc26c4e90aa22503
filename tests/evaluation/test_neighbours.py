from unittest.mock import patch

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jml.evaluation import nearest_neighbours
from jml.evaluation._ranking import _chunks

from .cases import clusters, directions, whole_rows
from .oracles import ranking

KINDS = {"euclidean": whole_rows, "cosine": directions}
every_metric = pytest.mark.parametrize("metric", KINDS)
every_tile = pytest.mark.parametrize("tile", [16, 496])


@every_metric
@every_tile
@settings(max_examples=25)
@given(data=st.data())
def test_nearest_neighbours_are_in_the_order_of_the_definition(tile, metric, data):
    n, k = data.draw(st.sampled_from([(2, 1), (18, 3), (18, 17), (40, 39)]))
    x = data.draw(KINDS[metric](n))
    with patch.multiple(_chunks, QUERIES=tile, ITEMS=tile):
        found, _ = nearest_neighbours(x, k=k, metric=metric)
        rows = np.array([n - 1, 0, n - 1])
        some, _ = nearest_neighbours(x, k=k, metric=metric, rows=rows)
    expected = [ranking(x[i], x, i, metric)[:k] for i in range(n)]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(some, found[rows])


@every_metric
@every_tile
@settings(max_examples=25)
@given(data=st.data())
def test_nearest_neighbours_in_a_gallery_are_in_the_order_of_the_definition(
    tile, metric, data
):
    n, m, k = data.draw(st.sampled_from([(20, 1, 1), (3, 17, 17), (20, 40, 5)]))
    x, gallery = data.draw(KINDS[metric](n)), data.draw(KINDS[metric](m))
    with patch.multiple(_chunks, QUERIES=tile, ITEMS=tile):
        found, _ = nearest_neighbours(x, gallery, k=k, metric=metric)
        some, _ = nearest_neighbours(x, gallery, k=k, metric=metric, rows=np.array([1]))
    expected = [ranking(query, gallery, metric=metric)[:k] for query in x]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(some, expected[1:2])


@pytest.mark.usefixtures("any_arguments")
def test_nearest_neighbours_of_a_list_of_rows():
    x = clusters(20, 3, 2)[0]
    found = nearest_neighbours(x, k=3, rows=[4, 1])
    for some, every in zip(found, nearest_neighbours(x, k=3), strict=True):
        np.testing.assert_array_equal(some, every[[4, 1]])


@every_tile
def test_nearest_neighbours_tie_duplicates_in_floating_point_too(tile):
    rng = np.random.default_rng(0)
    which = rng.permutation(np.arange(200) % 5)
    x = rng.normal(size=(5, 33)).astype(np.float32)[which]
    with patch.multiple(_chunks, QUERIES=tile, ITEMS=tile):
        found, _ = nearest_neighbours(x, k=199)
    for i, row in enumerate(found):
        same = [j for j in np.flatnonzero(which == which[i]) if j != i]
        assert row[:39].tolist() == same
        for group in np.split(row[39:], 4):
            assert len(set(which[group])) == 1
            assert sorted(group) == group.tolist()


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
def test_nearest_neighbours_of_narrow_floats_are_exact(dtype):
    x = clusters(60, 8, 5)[0].astype(dtype)
    expected = nearest_neighbours(x.astype(np.float32), k=5)
    for one, other in zip(nearest_neighbours(x, k=5), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nearest_neighbours_in_float64_tell_apart_what_float32_does_not(x64):
    x = np.float64(clusters(60, 8, 5)[0])
    expected, _ = nearest_neighbours(x, k=5)
    found, _ = nearest_neighbours(np.concatenate([1 + 1e-4 * x, 1e-4 * x - 1]), k=5)
    np.testing.assert_array_equal(found, np.concatenate([expected, expected + 60]))


def test_all_neighbours_of_a_row_of_zeros_are_equally_near_by_cosine():
    y = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    zeros = np.zeros((1, 5), np.float32)
    found, _ = nearest_neighbours(zeros, y, k=10, metric="cosine")
    assert found.tolist() == [list(range(10))]


def reference_distances(x, y, metric):
    """Distances of all pairs from float64 differences."""
    x, y = np.float64(x), np.float64(y)
    if metric == "cosine":
        x, y = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y))
        return np.sum((x[:, None] - y) ** 2, axis=2) / 2
    return np.sqrt(np.sum((x[:, None] - y) ** 2, axis=2))


@every_metric
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_distances_are_those_of_float64_differences(metric, dtype):
    x = (3 + 0.01 * clusters(60, 8, 5)[0]).astype(dtype)
    x[7] = x[3]
    found = nearest_neighbours(x[:20], x[20:], k=40, metric=metric)
    assert found.indices.dtype == np.int32 and found.distances.dtype == np.float64
    every = reference_distances(x[:20], x[20:], metric)
    expected = np.take_along_axis(every, found.indices, axis=1)
    np.testing.assert_allclose(found.distances, expected, rtol=1e-12)
    rows = np.array([3, 7])
    copies = nearest_neighbours(x, k=1, rows=rows, metric=metric)
    assert copies.indices.tolist() == [[7], [3]]
    assert copies.distances.tolist() == [[0], [0]]


@every_metric
def test_distances_are_those_of_scikit_learn(metric):
    x = np.float64(clusters(60, 8, 5)[0])
    metrics = pytest.importorskip("sklearn.metrics")
    expected = np.sort(metrics.pairwise_distances(x, metric=metric), axis=1)
    found = nearest_neighbours(x, k=59, metric=metric).distances
    np.testing.assert_allclose(found, expected[:, 1:], rtol=1e-12)


def test_distances_of_huge_and_tiny_numbers():
    x = np.array([[0.0, 0.0], [3e-200, 4e-200], [3e200, 4e200], [-1.7e308, 1.7e308]])
    found = nearest_neighbours(x, k=3)
    assert found.indices[0].tolist() == [1, 2, 3]
    np.testing.assert_allclose(found.distances[0, :2], [5e-200, 5e200], rtol=1e-15)
    assert found.distances[0, 2] == np.inf  # beyond float64
    tiny = np.float32([[0, 0], [3, 4]]) * np.float32(1e-44)
    expected = np.linalg.norm(np.float64(tiny[1]))
    np.testing.assert_allclose(nearest_neighbours(tiny, k=1).distances, expected)


def test_distances_to_a_row_of_zeros_by_cosine_are_one():
    x = np.float32([[0, 0], [1, 0], [-2, 0]])
    found = nearest_neighbours(x, k=2, metric="cosine")
    assert found.distances.tolist() == [[1, 1], [1, 2], [1, 2]]
