"""The programs of a ranking can be compiled before there are embeddings."""

from threading import Thread

import numpy as np
import pytest

from jml.evaluation import evaluate, recall_at_k
from jml.evaluation._ranking import _layout, compile_search
from jml.evaluation._ranking._layout import sort_by_class
from jml.evaluation._ranking._ranks import plan_batches
from jml.evaluation._ranking._search import make_search
from tests import compilation


@pytest.fixture
def programs():
    """Names of the programs that JAX compiles."""
    with compilation.programs() as names:
        yield names


@pytest.mark.parametrize(
    ("n", "queries", "per_class", "grouped", "expected"),
    [
        (150, None, 3, True, ["collect", "count"]),
        (150, 60, 5, False, ["collect", "count"]),
        (260, 110, None, False, ["collect", "count"]),
        (540, None, 270, False, ["rows_of_keys"]),
    ],
    ids=["among themselves, groups", "gallery", "unlike classes", "large classes"],
)
def test_a_search_that_was_compiled_ahead_compiles_nothing(
    programs, monkeypatch, n, queries, per_class, grouped, expected
):
    monkeypatch.setattr(_layout, "TILE", 48)
    rng = np.random.default_rng(0)
    sizes = np.sqrt(np.arange(n)).astype(int)  # 1, 3, 5 and so on
    labels = rng.permutation(np.arange(n) % (n // per_class) if per_class else sizes)
    x = rng.normal(size=(n, 11)).astype(np.float32)
    options = {"groups": np.arange(n) // 2} if grouped else {}
    both = (labels, None) if queries is None else (labels[:queries], labels[queries:])
    parts = (x, None) if queries is None else (x[:queries], x[queries:])

    compiling = Thread(
        target=compile_search, args=both, kwargs={"dim": x.shape[1], **options}
    )
    compiling.start()
    compiling.join()
    assert sorted(programs) == expected
    programs.clear()
    arguments = parts[0], both[0], parts[1], both[1]
    recall_at_k(*arguments, **options)
    evaluate(*arguments, clusterings=0, resamples=0, **options)
    assert programs == []


def test_a_search_without_relevant_items_has_nothing_to_compile(programs):
    compile_search(np.arange(40), dim=3)
    compile_search(np.arange(4), np.arange(10, 14), dim=3)
    assert programs == []


def test_queries_that_are_repeated_have_tiles_of_few_sizes():
    sizes = [_layout.padded_rows(n) for n in range(1, 5000)]
    assert len({*sizes}) <= 11
    needed = np.array([_layout.tile_rows(n) for n in range(1, 5000)])
    assert (needed <= sizes).all()
    assert (sizes < 2 * needed).all()

    labels = np.arange(600) // 2
    search = make_search("test", np.zeros((600, 1), np.float32), labels, None, None)
    layout = sort_by_class(search)
    tiles = [
        plan_batches(search, layout, np.arange(n), 1)[1][0].tile for n in (130, 250)
    ]
    assert tiles == [256, 256]
