"""The nearest items of each query: candidates by products, order by differences."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool
from jaxtyping import Integer as Int

from . import _chunks
from ._candidates import EXTRA, Candidates
from ._excluded import Excluded
from ._level import first_dtype, width
from ._nearest_in_float64 import first_of_rows, nearest_in_float64
from ._reach import errors_of
from ._sweeps import Progress
from ._vectors import CHUNK, Vectors


def nearest_items(
    vectors: Vectors,
    excluded: Excluded,
    queries: Int[np.ndarray, " q"],
    k: int,
    left_out: int,
    progress: Progress = lambda steps: steps,
) -> Int[np.ndarray, "q k"]:
    """The k nearest items of each query, which leaves out at most `left_out`."""
    count = len(queries)
    found = np.empty((count, k), np.int32)
    undecided = np.ones(count, bool)
    # Where most items are asked for, differences are made of most pairs anyway.
    if 2 * k < len(vectors.y):
        with width(first_dtype(vectors.dtype)):
            plan = _plan(vectors, count, k, left_out)
            undecided = _search(vectors, excluded, queries, plan, found, progress)
    rest = np.flatnonzero(undecided)
    if len(rest):
        search = vectors, excluded, queries[rest], k, left_out, progress
        found[rest] = nearest_in_float64(*search)
    return found


def nearest_item(vectors: Vectors) -> Int[np.ndarray, " n"]:
    """The gallery index of each query's nearest item, with nothing left out."""
    n, m = len(vectors.x), len(vectors.y)
    nothing = Excluded(np.full(n, -1), np.full(m, -2))
    return nearest_items(vectors, nothing, np.arange(n), 1, 0)[:, 0]


class _Plan(NamedTuple):
    """The sizes of a search's tiles."""

    k: int
    left_out: int  # most items that a query leaves out
    rows: int  # queries of a tile
    blocks: int  # tiles that go through the gallery together
    columns: int  # items of a tile
    group: int
    dtype: np.dtype


def _plan(vectors: Vectors, count: int, k: int, left_out: int) -> _Plan:
    room = k + EXTRA
    rows = _chunks.padded_size(count, max(16, min(_chunks.QUERIES, CHUNK // room)))
    columns = _chunks.padded_size(len(vectors.y), _chunks.ITEMS)
    # Groups serve to find the k smallest only if there are many more than k.
    few = 2 * (k + left_out) <= columns // _chunks.GROUP
    group = _chunks.GROUP if few else 1
    blocks = max(1, CHUNK // (room * rows))
    dtype = first_dtype(vectors.dtype)
    return _Plan(k, left_out, rows, blocks, columns, group, dtype)


def _search(
    vectors: Vectors,
    excluded: Excluded,
    queries: Int[np.ndarray, " q"],
    plan: _Plan,
    found: Int[np.ndarray, "q k"],
    progress: Progress,
) -> Bool[np.ndarray, " q"]:
    """Searches by products; fills in `found`, and says which queries are undecided."""
    undecided = np.empty(len(queries), bool)
    errors = errors_of(vectors.x.shape[1], plan.dtype, vectors.dtype)
    together = plan.rows * plan.blocks
    starts = range(0, len(vectors.y), plan.columns)
    steps = [(at, start) for at in range(0, len(queries), together) for start in starts]
    steps = iter(progress(steps))
    for at in range(0, len(queries), together):
        blocks = [
            _chunks.make_block(
                vectors, queries[first : first + plan.rows], plan.rows, plan.dtype
            )
            for first in range(at, min(at + together, len(queries)), plan.rows)
        ]
        gathered = [
            Candidates(block, excluded, plan.left_out, plan.k, errors)
            for block in blocks
        ]
        of_part = (next(steps)[1] for _ in starts)
        tiles = (of_part, plan.columns, plan.group, plan.dtype)
        looks = [candidates.add for candidates in gathered]
        _chunks.look_at_tiles(vectors, blocks, *tiles, looks)
        for number, candidates in enumerate(gathered):
            first = at + number * plan.rows
            place = slice(first, first + plan.rows)
            undecided[place] = _order(vectors, candidates, plan.k, found, place)
    for _ in steps:  # ends the display of progress
        pass
    return undecided


def _order(
    vectors: Vectors,
    candidates: Candidates,
    k: int,
    found: Int[np.ndarray, "q k"],
    place: slice,
) -> Bool[np.ndarray, " b"]:
    """Orders a block's candidates by differences; says which rows are undecided."""
    row, item, decided = candidates.finish()
    squares = vectors.squared_distances(candidates.block.queries[row], item)
    first = first_of_rows(row, vectors.keys_of(squares), item, k)
    found[place][decided] = item[first]
    return ~decided
