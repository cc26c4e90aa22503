"""The search by products: groups, chunks, room for candidates, and what it gives up."""

from unittest.mock import patch

import jax.numpy as jnp
import numpy as np
import pytest

from jml.evaluation import nearest_neighbours
from jml.evaluation._ranking import _candidates, _chunks, _nearest, _nearest_in_float64

from .test_precision import INPUTS, LENGTHS, squared

EXTREME = ("lengths apart", "one far outlier", "small beside large", "tiny", "huge")
SIZES = {"QUERIES": 96, "ITEMS": 64, "GROUP": 4}


def expected(x, y, k, out, metric="euclidean"):
    """By float64 differences rounded down to float32's precision, then by index."""
    squares = squared(x, y, metric)
    keys = squares.view(np.int64) >> 29
    keys[out] = np.iinfo(np.int64).max
    return np.argsort(keys, axis=1, kind="stable")[:, :k]


@pytest.fixture(params=[0, 32], ids=["no room", "room"])
def small_tiles(request):
    with (
        patch.multiple(_chunks, **SIZES),
        patch.object(_candidates, "EXTRA", request.param),
        patch.object(_nearest_in_float64, "ITEMS", 50),
    ):
        yield request.param


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("name", [n for n in INPUTS if n not in EXTREME])
@pytest.mark.parametrize("k", [1, 7, 40])
def test_neighbours_are_those_of_differences_item_for_item(name, k):
    x = INPUTS[name].astype(np.float32)
    found, _ = nearest_neighbours(x, k=k)
    itself = np.eye(len(x), dtype=bool)
    np.testing.assert_array_equal(found, expected(x, x, k, itself))


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("name", [name for name in INPUTS if name not in LENGTHS])
def test_neighbours_by_cosine_are_those_of_differences(name):
    x = INPUTS[name].astype(np.float32)
    found, _ = nearest_neighbours(x[:90], x[90:], k=7, metric="cosine")
    truth = squared(x[:90], x[90:], "cosine")
    actual = np.take_along_axis(truth, found, axis=1)
    np.testing.assert_allclose(actual, np.sort(truth, axis=1)[:, :7], rtol=1e-6)


@pytest.mark.usefixtures("small_tiles")
def test_items_that_are_left_out_do_not_hide_others_of_their_group():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    ids = rng.integers(0, 12, 200)
    out = ids[:, None] == ids
    found, _ = nearest_neighbours(x, k=5, ids=ids)
    np.testing.assert_array_equal(found, expected(x, x, 5, out))


def decided(x, k):
    """How many queries are not left to float64."""
    counts = []

    def count(vectors, excluded, queries, *others):
        counts.append(len(queries))
        return _nearest_in_float64.nearest_in_float64(
            vectors, excluded, queries, *others
        )

    with patch.object(_nearest, "nearest_in_float64", count):
        nearest_neighbours(x, k=k)
    return len(x) - sum(counts)


def test_products_decide_where_they_can_and_float64_where_they_cannot():
    x = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    with patch.multiple(_chunks, **SIZES):
        assert decided(x, 5) == 200
        assert decided(np.ones((200, 8), np.float32), 5) == 0
        far = x * np.float32(1e-3)
        far[:, 0] += np.where(np.arange(200) % 2, 100, -100).astype(np.float32)
        assert decided(far, 5) <= 100  # the group that the centre is in
        # One far item does not spoil what is known of the others.
        x[7] = 1e6
        assert decided(x, 5) >= 199


def test_copies_beyond_the_k_nearest_are_not_compared():
    x = np.repeat(np.eye(3, dtype=np.float32), 100, axis=0)
    compared = []
    squares = _nearest_in_float64.Vectors.squared_distances

    def counted(self, queries, items):
        compared.append(len(items))
        return squares(self, queries, items)

    with patch.object(_nearest_in_float64.Vectors, "squared_distances", counted):
        found, _ = nearest_neighbours(x, k=4)
    assert sum(compared) <= 300 * 5
    assert found[150].tolist() == [100, 101, 102, 103]
    assert found[101].tolist() == [100, 102, 103, 104]


def test_progress_sees_every_step_and_ends():
    x = np.random.default_rng(0).normal(size=(200, 8)).astype(np.float32)
    seen = []

    def progress(steps):
        for step in steps:
            seen.append(step)
            yield step
        seen.append("end")

    with patch.multiple(_chunks, **SIZES):
        nearest_neighbours(x, k=5, progress=progress)
    assert len(seen) == 1 + -(-200 // 64) and seen[-1] == "end"


def test_a_tile_takes_the_memory_of_one_that_nobody_looks_at():
    x, y = jnp.eye(4, 3), jnp.ones((8, 3))
    first = _chunks._tile(x, y, jnp.zeros(8), jnp.zeros((4, 8)), group=2)[0]
    place = first.unsafe_buffer_pointer()
    second = _chunks._tile(x, 2 * y, jnp.zeros(8), first, group=2)[0]
    assert second.unsafe_buffer_pointer() == place
    seen = np.asarray(second)
    third = _chunks._tile(x, y, jnp.zeros(8), second, group=2)[0]
    np.testing.assert_array_equal(seen, 2 * np.asarray(third))
