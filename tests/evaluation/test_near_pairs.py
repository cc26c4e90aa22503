"""All pairs within a distance, beside all distances in float64."""

from unittest.mock import patch

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.neighbors import NearestNeighbors

from jml.errors import UserError
from jml.evaluation import near_pairs
from jml.evaluation._ranking import _near, _vectors

from .test_precision import INPUTS, LENGTHS

METRICS = ("euclidean", "cosine")


@pytest.fixture(autouse=True)
def small_tiles():
    """Several tiles, and ranges of tiles, for a few hundred rows."""
    with (
        patch.object(_near, "tile_rows", lambda size: 48),
        patch.object(_near, "RANGE", 2),
    ):
        yield


def all_distances(x, y, metric):
    """From differences, in float64."""
    x, y = np.float64(x), np.float64(y)
    if metric == "cosine":
        x, y = (
            np.divide(a, lengths, out=np.zeros_like(a), where=lengths > 0)
            for a in (x, y)
            for lengths in [np.linalg.norm(a, axis=1, keepdims=True)]
        )
    distances = np.stack([((row - y) ** 2).sum(axis=1) for row in x])
    if metric == "euclidean":
        return np.sqrt(distances)
    zero = ~x.any(axis=1)[:, None] | ~y.any(axis=1)[None]
    return np.where(zero, 1, distances / 2)


def check(pairs, distances, threshold, *, symmetric):
    """The pairs are those of the matrix up to the threshold, with their distances."""
    near, small = distances <= threshold, 1e-15 * min(1, distances.max())
    rows, columns = np.nonzero(np.triu(near, 1) if symmetric else near)
    np.testing.assert_array_equal(pairs.rows, rows)
    np.testing.assert_array_equal(pairs.columns, columns)
    np.testing.assert_allclose(pairs.distances, distances[rows, columns], 1e-9, small)
    assert [a.dtype for a in pairs] == [np.int32, np.int32, np.float64]


def gaps(distances, counts):
    """Thresholds that let `counts` distances through, in the middle of gaps."""
    order = np.sort(distances, axis=None)
    for count in counts:
        wide = np.flatnonzero(order[1:] > order[:-1] * (1 + 1e-7) + 1e-14 * order[-1])
        at = wide[np.searchsorted(wide, count - 1)]
        yield order[at] + (order[at + 1] - order[at]) / 2


CASES = [
    (name, metric)
    for name in INPUTS
    for metric in METRICS
    if metric == "euclidean" or name not in LENGTHS
]


@pytest.mark.parametrize(("name", "metric"), CASES)
def test_pairs_are_those_of_all_distances(name, metric):
    x = np.float32(INPUTS[name])
    distances = all_distances(x, x, metric)
    above = distances[np.triu_indices(len(x), 1)]
    for threshold in gaps(above, (1, 40, 9000)):
        pairs = near_pairs(x, threshold=threshold, metric=metric)
        check(pairs, distances, threshold, symmetric=True)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_pairs_with_a_gallery(metric, dtype):
    x, y = (jnp.asarray(INPUTS["copies"][at]) for at in (slice(70), slice(70, None)))
    if dtype == "float64":
        x, y = INPUTS["copies"][:70], INPUTS["copies"][70:]
    elif dtype == "bfloat16":
        x, y = x.astype(jnp.bfloat16), y.astype(jnp.bfloat16)
    distances = all_distances(x, y, metric)
    for threshold in (0.0, *gaps(distances, (300, 5000))):
        pairs = near_pairs(x, y, threshold=threshold, metric=metric)
        check(pairs, distances, threshold, symmetric=False)
    assert len(near_pairs(x, y, threshold=0.0).rows) > 20


def test_pairs_in_float64_on_the_device(x64):
    x = INPUTS["two groups"]
    distances = all_distances(x, x, "euclidean")
    (threshold,) = gaps(distances, (3000,))
    check(near_pairs(x, threshold=threshold), distances, threshold, symmetric=True)


@pytest.mark.parametrize(("metric", "radius"), [("euclidean", 3.5), ("cosine", 0.35)])
def test_pairs_are_those_of_scikit_learn(metric, radius):
    x = np.float32(np.random.default_rng(0).normal(size=(500, 16)))
    x[100:150] = x[:50]
    peer = NearestNeighbors(radius=radius, metric=metric).fit(np.float64(x))
    graph = peer.radius_neighbors_graph(mode="distance").tocoo()
    expected = sorted((i, j) for i, j in zip(*graph.coords, strict=True) if i < j)
    pairs = near_pairs(x, threshold=radius, metric=metric)
    assert [*zip(pairs.rows, pairs.columns, strict=True)] == expected
    found = graph.tocsr()[pairs.rows, pairs.columns]
    # Products of float64 lose half of the digits at distance 0.
    np.testing.assert_allclose(pairs.distances, np.ravel(found), atol=1e-7)


# Few values: ties, copies, rows of zeros, and distances that are the threshold.
rows = arrays(np.float32, (40, 3), elements=st.sampled_from([0, 1, -1, 3, 4, 5]))


@settings(max_examples=50)
@example(np.zeros((40, 3), np.float32), 0, 5, "cosine")
@given(
    rows,
    st.sampled_from([-120, -15, 0, 15, 120]),
    st.sampled_from([0, 1, 3, 5]),
    st.sampled_from(METRICS),
)
def test_ties_copies_zeros_and_scales(x, exponent, threshold, metric):
    scaled = np.ldexp(x, exponent)
    distances = all_distances(x, x, metric)
    if metric == "euclidean":  # squares of small integers: no rounding
        pairs = near_pairs(scaled, threshold=np.ldexp(float(threshold), exponent))
        pairs = pairs._replace(distances=np.ldexp(pairs.distances, -exponent))
        check(pairs, distances, threshold, symmetric=True)
    else:
        pairs = near_pairs(scaled, threshold=threshold / 7 + 0.01, metric=metric)
        check(pairs, distances, threshold / 7 + 0.01, symmetric=True)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_a_threshold_pairs_are_equal_up_to_rounding(metric, dtype):
    eps = np.finfo(dtype).eps
    x = np.random.default_rng(1).normal(size=(90, 64)).astype(dtype)
    x[1] = x[0]
    x[4], x[5] = x[3] * (1 + 20 * eps), x[3] * np.float64(1.01)
    x[50:] *= 1e-4  # further apart than 1e-6, but not for their lengths
    x[80:] += (1e-6 * np.random.default_rng(2).normal(size=(10, 64))).astype(dtype)
    side = np.linalg.norm(x[8]) / 8
    x[9], x[10] = x[8], x[8]
    x[9, 0] += 24 * eps * side * 8
    x[10, 0] += 48 * eps * side * 8
    pairs = near_pairs(x, threshold=None, metric=metric)
    found = {*zip(pairs.rows.tolist(), pairs.columns.tolist(), strict=True)}
    same = {(3, 5), (4, 5)} if metric == "cosine" else set()  # only lengths differ
    assert found == {(0, 1), (3, 4), (8, 9), (9, 10)} | same
    distances = all_distances(x, x, metric)[pairs.rows, pairs.columns]
    np.testing.assert_allclose(pairs.distances, distances, 1e-6, 1e-30)


def test_candidates_are_decided_by_differences():
    # Among vectors far from each other's centre, products alone name other pairs.
    x = np.float32(INPUTS["very tight groups"])
    distances = all_distances(x, x, "euclidean")
    (threshold,) = gaps(distances, (2000,))
    centred = x - np.median(x, axis=0)
    squares = (centred**2).sum(axis=1)
    by_products = squares[:, None] + squares[None] - 2 * centred @ centred.T
    assert ((by_products <= threshold**2) != (distances <= threshold)).any()
    with patch.object(_vectors, "CHUNK", 64):
        pairs = near_pairs(x, threshold=threshold)
    check(pairs, distances, threshold, symmetric=True)


def test_no_pairs_and_one_row():
    for threshold in (0.0, None):
        pairs = near_pairs(np.eye(3), threshold=threshold)
        assert [len(a) for a in pairs] == [0, 0, 0]
        assert [a.dtype for a in pairs] == [np.int32, np.int32, np.float64]
        assert not len(near_pairs(np.ones((1, 2)), threshold=threshold).rows)


def test_too_many_pairs_stop_the_search():
    x = np.zeros((200, 2))
    assert len(near_pairs(x, threshold=1.0, max_pairs=19900).rows) == 19900
    with pytest.raises(UserError, match=r"^`threshold`: .* pairs so far are within 1,"):
        near_pairs(x, threshold=1.0, max_pairs=19899)
    seen = []

    def progress(loop):
        for step in loop:
            seen.append(step)
            yield step

    # It stops at the first tile with too many.
    with pytest.raises(UserError, match="1,128 pairs so far are equal up to rounding"):
        near_pairs(x, threshold=None, max_pairs=1000, progress=progress)
    assert len(seen) < 5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"threshold": -1.0}, "`threshold` must be a distance from 0, or None, got -1"),
        ({"threshold": np.nan}, "`threshold` must be a distance from 0"),
        ({"threshold": "1"}, "`threshold` must be a number"),
        ({"metric": "dot"}, "`metric`"),
        ({"max_pairs": 0}, "`max_pairs` must be a positive integer"),
        ({"gallery": np.ones((2, 3))}, "`gallery` must have 2 columns"),
        (
            {"embeddings": np.full((2, 2), np.nan)},
            "2 of 2 rows of `embeddings` hold NaN",
        ),
    ],
)
def test_what_near_pairs_refuses(arguments, says, any_arguments):
    arguments = {"embeddings": np.ones((2, 2)), "threshold": 1.0} | arguments
    with pytest.raises(ValueError, match=says):
        near_pairs(**arguments)


def test_a_distance_above_all_numbers_of_the_device(recwarn):
    assert len(near_pairs(np.float32([[0], [5], [9]]), threshold=1e300).rows) == 3
    assert not recwarn
