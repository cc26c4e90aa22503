"""Nothing is lost in tiles, on several devices or in the digits of floats."""

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml.evaluation import evaluate, near_pairs
from jml.evaluation._ranking import _layout, _ranks, _tiles
from jml.evaluation._ranking._keys import keys, partial_squares
from jml.evaluation._ranking._search import make_search

from .cases import clusters

RETRIEVAL = {"clusterings": 0, "resamples": 0}
MODES = {"both": _ranks.MAX_TARGETS, "rows alone": 0}
every_mode = pytest.mark.parametrize("most", MODES.values(), ids=MODES.keys())


def everything():
    """All ranks, metrics and near pairs of random embeddings, in several tiles."""
    x, y = clusters(100, 17, 1)[0], clusters(85, 17, 1, seed=1)[0]
    labels, others = np.arange(100) % 11, np.arange(85) % 12
    ranks, metrics = [], []
    for most in MODES.values():
        for gallery in ((None, None), (y, others)):
            with (
                patch.object(_layout, "TILE", 16),
                patch.object(_ranks, "MAX_TARGETS", most),
            ):
                search = make_search("test", x, labels, *gallery)
                parts = [(q.tolist(), r) for q, r in _ranks.relevant_ranks(search)]
                found = evaluate(x, labels, *gallery, map_ks=[5], **RETRIEVAL)
            ranks.append(
                {
                    str(query): [
                        rank for rank in row if rank < len(search.gallery_classes)
                    ]
                    for queries, rows in parts
                    for query, row in zip(queries, rows.tolist(), strict=True)
                }
            )
            metrics.append(found.metrics)
    with patch.object(_layout, "TILE", 16):
        found = [near_pairs(x, other, threshold=6.0) for other in (None, y)]
    return ranks, metrics, [[a.tolist() for a in pairs] for pairs in found]


@pytest.mark.slow
def test_evaluate_on_several_devices_equals_one_exactly():
    program = (
        "import jax, json; from tests.evaluation.test_exactness import everything;"
        "print(jax.device_count()); print(json.dumps(everything()))"
    )
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=3"}
    output = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | flags | {"JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    count, results = output.splitlines()[-2:]
    assert count == "3"
    with jax.default_device(jax.devices("cpu")[0]):
        ranks, metrics, pairs = everything()
    theirs, their_metrics, their_pairs = json.loads(results)
    assert theirs == ranks
    assert their_pairs == pairs and all(len(found[0]) > 50 for found in pairs)
    for one, other in zip(metrics, their_metrics, strict=True):
        assert other == pytest.approx(one, abs=1e-14)
    assert ranks[0] == ranks[2]  # both ways of serving


def test_keys_of_rankings_are_in_the_order_of_the_distances():
    ordering = np.float32([-3e38, -2, -1.0000001, -1, -1e-30, 0, 1e-30, 1, 3e38])
    assert np.all(np.diff(keys(partial_squares(jnp.zeros((1, 9)), ordering))[0]) > 0)
    zeros = partial_squares(jnp.array([[0.0, -0.0, 0.0]]), jnp.array([0.0, 0.0, -0.0]))
    assert np.unique(keys(zeros)).tolist() == [0]


@every_mode
@pytest.mark.parametrize("tile", [16, 1008])
def test_evaluate_ties_duplicates_in_floating_point_too(most, tile):
    # 40 copies of each of 5 vectors, so that every distance comes 40 times, and the
    # neighbours of query i are exactly those of the same vector, lowest index first.
    rng = np.random.default_rng(0)
    which = rng.permutation(np.arange(200) % 5)
    x = rng.normal(size=(5, 33)).astype(np.float32)[which]
    labels = np.arange(200) // 2  # two of each class
    with patch.object(_layout, "TILE", tile), patch.object(_ranks, "MAX_TARGETS", most):
        results = [
            evaluate(x, labels, *gallery, metric=metric, self_index=own, **RETRIEVAL)
            for gallery, own in (((), None), ((x, labels), np.arange(200)))
            for metric in ("euclidean", "cosine")
        ]
    for i in range(200):
        same = [j for j in np.flatnonzero(which == which[i]) if j != i]
        for found in results:
            reciprocal = found.per_query["mrr"][i]
            if i ^ 1 in same:
                assert reciprocal == 1 / (same.index(i ^ 1) + 1)
            else:
                assert reciprocal <= 1 / (len(same) + 1)


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        (lambda x: x + 1000, "euclidean"),
        (lambda x: np.ldexp(x, 120), "euclidean"),
        (lambda x: np.ldexp(x, 120), "cosine"),
        (lambda x: np.ldexp(x, -130), "euclidean"),
        (lambda x: np.ldexp(x, -130), "cosine"),
    ],
    ids=["far", "huge", "huge cosine", "tiny", "tiny cosine"],
)
def test_evaluate_loses_no_digits_of_far_huge_and_tiny_embeddings(change, metric):
    x, labels = clusters(400, 4, 40)
    x = (x * 2**10).round() / 2**10  # so that adding 1000 is exact
    y, others = x[:90] + 0.125, labels[:90]
    options = {"metric": metric, "map_ks": [5], **RETRIEVAL}
    plain = evaluate(x, labels, **options).metrics
    assert evaluate(change(x), labels, **options).metrics == plain
    plain = evaluate(y, others, x, labels, **options).metrics
    assert evaluate(change(y), others, change(x), labels, **options).metrics == plain


def test_evaluate_of_narrow_floats_is_exact():
    x, labels = clusters(400, 4, 40)
    x = jnp.asarray(x, jnp.bfloat16)
    wide = evaluate(np.asarray(x, np.float32), labels, **RETRIEVAL)
    assert evaluate(x, labels, **RETRIEVAL).metrics == wide.metrics


def programs(n, most):
    """Both sweeps over so many items."""
    x, seen = clusters(n, 8, 1)[0], []

    def spy(original):
        def sweep(*arguments, **options):
            shapes = jax.tree.map(
                lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding),
                arguments,
            )
            seen.append(original.lower(*shapes, **options))
            return original(*arguments, **options)

        return sweep

    with (
        patch.object(_layout, "TILE", 64),
        patch.object(_ranks, "MAX_TARGETS", most),
        patch.object(_tiles, "collect", spy(_tiles.collect)),
        patch.object(_tiles, "count", spy(_tiles.count)),
    ):
        evaluate(x, np.arange(n) // 4, **RETRIEVAL)
    return seen[0], seen[-1]


@every_mode
def test_evaluate_has_full_precision_and_no_square_matrix(most):
    n = 2048
    for lowered in programs(n, most):
        assert "precision = [HIGHEST, HIGHEST]" in lowered.as_text()  # GPUs would round
        memory = lowered.compile().memory_analysis()
        assert memory.temp_size_in_bytes < 8 * 64 * 64 * 4 + n * 64
        total = memory.temp_size_in_bytes + memory.output_size_in_bytes
        assert total + memory.argument_size_in_bytes < n * n * 4 / 16


@every_mode
def test_evaluate_of_other_embeddings_is_not_compiled_anew(most):
    def run(seed):
        x = clusters(90, 4, 1, seed=seed)[0]
        labels = np.random.default_rng(seed).permutation(np.arange(90) % 18) * 3 - seed
        ks = {"ks": [1 + seed], "map_ks": [2 + seed]}
        evaluate(x, labels, **ks, **RETRIEVAL)

    with patch.object(_layout, "TILE", 48), patch.object(_ranks, "MAX_TARGETS", most):
        run(0)
        before = _tiles.collect._cache_size(), _tiles.count._cache_size()
        run(1)
    assert (_tiles.collect._cache_size(), _tiles.count._cache_size()) == before


@pytest.mark.parametrize(
    "above",
    [
        pytest.param(0, id="sorted"),
        pytest.param(10**6, id="counted", marks=pytest.mark.slow),
    ],
)
def test_memory_of_evaluate_does_not_grow_with_the_ranks_of_all_queries(above):
    n = 2048
    y, others = clusters(n, 4, 1)[0], np.arange(n) % 2
    peaks = []
    with (
        patch.object(_layout, "TILE", 64),
        patch.object(_ranks, "MAX_KEYS", 64 * n),
        patch.object(_ranks, "SORT_ABOVE", above),
    ):
        for queries in (64, 512, 1024):  # the first compiles
            x = y[:queries] + np.float32(0.125)
            tracemalloc.start()
            evaluate(x, others[:queries], y, others, **RETRIEVAL)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    ranks = 4 * 512 * n // 2  # bytes, of the queries that the last has more
    assert peaks[2] - peaks[1] < ranks / 4
