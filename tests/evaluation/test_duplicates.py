"""Groups of near items, beside a search through all distances."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jml.errors import UserError
from jml.evaluation import find_duplicates

from .test_near_pairs import METRICS, all_distances


def groups_of(distances, threshold):
    """Sets of items by walking from near item to near item."""
    left, groups = set(range(len(distances))), []
    while left:
        group, front = set(), {min(left)}
        while front:
            group |= front
            near = {
                int(j) for i in front for j in np.flatnonzero(distances[i] <= threshold)
            }
            front = near - group
        left -= group
        groups.append(sorted(group))
    return [group for group in groups if len(group) > 1]


def check(found, distances, threshold):
    distances = distances.copy()
    np.fill_diagonal(distances, np.inf)
    groups = groups_of(distances, threshold)
    smallest = [min(distances[i].min() for i in group) for group in groups]
    for number, at in enumerate(np.lexsort(([g[0] for g in groups], smallest))):
        assert np.flatnonzero(found.groups == number).tolist() == groups[at]
    alone = [i for i in range(len(distances)) if not any(i in g for g in groups)]
    assert np.flatnonzero(found.groups == -1).tolist() == alone
    nearest = distances.argmin(axis=1)
    nearest[alone] = -1
    np.testing.assert_array_equal(found.nearest, nearest)
    expected = distances[np.arange(len(nearest)), nearest]
    expected[alone] = np.inf
    np.testing.assert_allclose(found.distances, expected, rtol=1e-12, atol=1e-15)
    assert [a.dtype for a in found] == [np.int32, np.int32, np.float64]


# Few values: copies, ties, rows of zeros, and zeros with a sign.
rows = arrays(np.float32, (12, 2), elements=st.sampled_from([0, -0.0, 1, 2, 4, 8]))


@settings(max_examples=60)
@example(np.zeros((12, 2), np.float32), 0.0, "cosine")
@example(np.zeros((12, 2), np.float32), 0.0, "euclidean")
@given(rows, st.sampled_from([0.0, 0.01, 1.0, 2.0]), st.sampled_from(METRICS))
def test_groups_are_those_of_all_distances(x, threshold, metric):
    distances = all_distances(x, x, metric)
    found = find_duplicates(x, threshold=threshold, metric=metric)
    if metric == "euclidean":  # exact: squares of small integers
        check(found, distances, threshold)
    else:
        check(found, distances.round(14), threshold)


def test_rows_of_one_number_are_no_copies():
    x = np.float32([[0, 2], [2, 0], [0, 2], [2, 0], [1, 2]])
    expected = find_duplicates(x, threshold=1.0)
    with patch.object(np.random, "default_rng") as rng:
        rng.return_value.integers.return_value = np.zeros(2, np.uint64)
        found = find_duplicates(x, threshold=1.0)
    rng.assert_called_with(0)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_any_number_of_copies_is_one_group():
    x = np.ones((30_000, 2), np.float32)  # 450 million pairs
    x[5] = 9
    found = find_duplicates(x, threshold=None)
    assert found.groups.tolist() == [0] * 5 + [-1] + [0] * 29_994
    assert found.nearest[:7].tolist() == [1, 0, 0, 0, 0, -1, 0]


def test_a_long_chain_is_one_group():
    x = np.arange(3000.0)[:, None]
    found = find_duplicates(x[::-1], threshold=1.0)
    assert not found.groups.any()
    assert find_duplicates(x, threshold=0.5).groups.max() == -1


def test_what_find_duplicates_refuses():
    with pytest.raises(ValueError, match=r"find_duplicates: 1 of 2 rows .* hold NaN"):
        find_duplicates(np.float32([[0], [np.nan]]), threshold=1.0)
    with pytest.raises(UserError, match="`threshold`: 3 pairs so far"):
        find_duplicates(np.eye(3), threshold=2.0, max_pairs=2)
