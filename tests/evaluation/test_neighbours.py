from unittest.mock import patch

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jml.evaluation import nearest_neighbours
from jml.evaluation._ranking import _nearest

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
    with patch.object(_nearest, "TILE", tile):
        found = nearest_neighbours(x, k=k, metric=metric)
        rows = np.array([n - 1, 0, n - 1])
        some = nearest_neighbours(x, k=k, metric=metric, rows=rows)
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
    with patch.object(_nearest, "TILE", tile):
        found = nearest_neighbours(x, gallery, k=k, metric=metric)
        some = nearest_neighbours(x, gallery, k=k, metric=metric, rows=np.array([1]))
    expected = [ranking(query, gallery, metric=metric)[:k] for query in x]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(some, expected[1:2])


@pytest.mark.usefixtures("any_arguments")
def test_nearest_neighbours_of_a_list_of_rows():
    x = clusters(20, 3, 2)[0]
    nearest = nearest_neighbours(x, k=3, rows=[4, 1])
    np.testing.assert_array_equal(nearest, nearest_neighbours(x, k=3)[[4, 1]])


@every_tile
def test_nearest_neighbours_tie_duplicates_in_floating_point_too(tile):
    rng = np.random.default_rng(0)
    which = rng.permutation(np.arange(200) % 5)
    x = rng.normal(size=(5, 33)).astype(np.float32)[which]
    with patch.object(_nearest, "TILE", tile):
        found = nearest_neighbours(x, k=199)
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
    np.testing.assert_array_equal(nearest_neighbours(x, k=5), expected)


def test_nearest_neighbours_in_float64_tell_apart_what_float32_does_not(x64):
    x = np.float64(clusters(60, 8, 5)[0])
    expected = nearest_neighbours(x, k=5)
    found = nearest_neighbours(np.concatenate([1 + 1e-4 * x, 1e-4 * x - 1]), k=5)
    np.testing.assert_array_equal(found, np.concatenate([expected, expected + 60]))


def test_all_neighbours_of_a_row_of_zeros_are_equally_near_by_cosine():
    y = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    zeros = np.zeros((1, 5), np.float32)
    found = nearest_neighbours(zeros, y, k=10, metric="cosine")
    assert found.tolist() == [list(range(10))]
