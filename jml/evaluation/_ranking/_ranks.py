"""The exact rank of every relevant item.

The rank of a relevant item is the number of gallery items that come before it: those
nearer to the query and, at equal distances, those with a lower index. The matrix of
distances is made tile by tile and not kept.

Where queries have few relevant items (`_by_counting`), two sweeps over the tiles do it.
The first visits the few tiles where query and gallery share a class, and collects the
keys of the relevant items, the targets. The second visits all tiles and counts what
comes before each target. Where queries have many targets (`_by_rows`), whole rows are
made and sorted instead. What float32 products cannot order is settled by differences
(`_close`) or, where that is too much, by products in float64.

The gallery is sorted by class, the rarest first. The relevant items of a query are then
side by side, and the queries of a tile have similar numbers of them. Where the queries
are the gallery, a tile serves its rows and, transposed, its columns.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Integer as Int

from ._by_counting import ranks_by_counting
from ._by_rows import ranks_by_rows
from ._layout import SortedGallery, padded_rows, sort_by_class, tile_rows
from ._level import Whole, first_dtype, make_whole, width
from ._part import Part, make_part
from ._search import Search
from ._spread_vectors import SpreadVectors
from ._sweeps import Progress

MAX_TARGETS = 2**25  # kept at once; with more, tiles serve their rows alone
MAX_KEYS = 2**26  # of whole rows, kept at once
# Relevant items of a query, from which sorting a row is faster than counting in it.
SORT_ABOVE = 256
FEW = 31  # targets, and the limit: eight passes of four, which cost next to nothing


def relevant_ranks(
    search: Search,
    *,
    nearest_only: bool = False,
    progress: Progress = lambda steps: steps,
) -> Iterator[tuple[Int[np.ndarray, " q"], Int[np.ndarray, "q r"]]]:
    """Yields some queries at a time, and the ranks of their relevant items.

    Ranks count from 0 and ascend in each row; the size of the gallery fills up the row.
    Queries without relevant items are left out. With `nearest_only` there is one rank
    for each query, that of its nearest relevant item. All local devices share the work,
    or the default device does it alone where JAX has one.
    """
    layout = sort_by_class(search)
    queries = np.flatnonzero(layout.relevant)
    first = first_dtype(search.vectors.dtype)
    for dtype in dict.fromkeys((first, np.dtype(np.float64))):
        if len(queries):
            unsettled: list[np.ndarray] = []
            with width(dtype):
                gallery = _make_gallery(search, layout, dtype, nearest_only)
            yield from _ranks_of_level(gallery, queries, unsettled, progress)
            queries = np.concatenate([queries[:0], *unsettled])


def _make_gallery(
    search: Search, layout: SortedGallery, dtype: np.dtype, nearest_only: bool
) -> Whole | Part:
    if isinstance(search.vectors, SpreadVectors):
        return make_part(search, layout, search.vectors, dtype, nearest_only)
    return make_whole(search, layout, dtype, nearest_only)


def _ranks_of_level(
    gallery: Whole | Part,
    queries: np.ndarray,
    unsettled: list[np.ndarray],
    progress: Progress,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields ranks; the queries that need wider floats are appended to `unsettled`."""
    search, layout, level = gallery.search, gallery.layout, gallery.level
    symmetric, batches = plan_batches(search, layout, queries, level.mesh.size)
    if symmetric and isinstance(gallery, Part):  # tiles of the same size, in two parts
        symmetric, (whole,) = False, batches
        kept = whole.queries[np.isin(whole.queries, queries)]
        batches = [b._replace(targets=whole.targets) for b in _cut(kept, whole.tile, 1)]
    for batch, tile, room in batches if symmetric else progress(batches):
        with width(level.products.x.dtype):
            of_batch, rows, targets = gallery.of_batch(batch)
            if room is None:
                ranks, left = ranks_by_rows(of_batch, rows, targets, tile)
            else:
                of_tiles = progress if symmetric else None
                ranks, left = ranks_by_counting(
                    of_batch, rows, targets, tile, room, of_tiles
                )
        if symmetric:
            keep = np.isin(batch, queries)
            batch, ranks, left = batch[keep], ranks[keep], left[keep]
        if left.any():
            unsettled.append(batch[left])
        if not left.all():
            yield batch[~left], np.sort(ranks[~left], axis=1)


class Batch(NamedTuple):
    """Queries that are ranked at once."""

    queries: Int[np.ndarray, " q"]
    tile: int  # rows of a tile
    # Room for the targets of a query; None where whole rows are made and sorted.
    targets: int | None


def plan_batches(
    search: Search,
    layout: SortedGallery,
    queries: Int[np.ndarray, " n"],
    devices: int,
) -> tuple[bool, list[Batch]]:
    """Cuts queries into batches.

    Batches that count have one shape or, where some queries have more than `FEW`
    targets, two. So they share their programs. Queries that are repeated in float64 are
    not the same number each time: their tiles have one of few sizes.

    Returns:
        Whether each tile is made once, for its rows and its columns: then the whole
        sorted gallery is the one batch. And the batches: queries with few targets
        first, then those with many.
    """
    size, relevant = len(layout.order), layout.relevant
    many = relevant[queries] > SORT_ABOVE
    if (
        search.among_themselves
        and 2 * len(queries) > size
        and size * layout.class_sizes.max() <= MAX_TARGETS
        and many.mean() < 0.1
    ):
        return True, [Batch(layout.order, tile_rows(size), int(relevant.max()))]
    by_class = np.argsort(layout.first[queries], kind="stable")
    few, rest = (queries[by_class[part[by_class]]] for part in (~many, many))
    keys_at_once = MAX_KEYS // devices // len(layout.order)
    targets_at_once = MAX_TARGETS // 4 // devices // layout.class_sizes.max()
    most = max(16, min(keys_at_once, targets_at_once) // 16 * 16)
    repeated = len(queries) < np.count_nonzero(relevant)
    rows_of = padded_rows if repeated else tile_rows
    counted = _cut(few, rows_of(len(few)), 1)
    largest = int(relevant[relevant <= SORT_ABOVE].max(initial=0))
    for number, batch in enumerate(counted):
        narrow = relevant[batch.queries].max() <= FEW
        room = min(FEW, largest) if narrow else largest
        counted[number] = batch._replace(targets=room)
    return False, counted + _cut(rest, min(rows_of(len(rest)), most), devices)


def _cut(queries: Int[np.ndarray, " n"], tile: int, devices: int) -> list[Batch]:
    """Batches of a tile a device. All tiles have one shape, and so one program."""
    step = max(1, tile * devices)
    return [
        Batch(queries[at : at + step], tile, None)
        for at in range(0, len(queries), step)
    ]
