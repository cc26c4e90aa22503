"""Where in each query's ranking its relevant items stand, nothing sorted or stored.

The rank of a relevant item is the number of gallery items that come before it: those
nearer to the query and, of those as near, the earlier ones in the gallery. The matrix
of distances is made tile by tile. A first sweep, over the few tiles where query and
gallery share a class, collects the keys of the relevant items, the targets; a second
one, over all tiles, counts what comes before each target.

Items are sorted by class, the rarest first: the relevant items of a query then lie side
by side, and the queries of a tile have about as many. Where queries are searched for
among themselves, a tile serves its rows and, transposed, its columns.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Int

from ._inputs import Search
from ._keys import key_dtype
from ._layout import (
    TARGETS_PER_PASS,
    Gallery,
    Queries,
    blocks,
    make_queries,
    sort_by_class,
    tile_rows,
)
from ._tiles import row_of_tiles

Progress = Callable[[Iterable[Any]], Iterable[Any]]
MAX_TARGETS = 2**25  # kept at once; of more, tiles serve their rows alone


def relevant_ranks(
    search: Search,
    *,
    nearest_only: bool = False,
    progress: Progress = lambda steps: steps,
) -> Iterator[tuple[Int[np.ndarray, " q"], Int[np.ndarray, "q r"]]]:
    """Yields queries, and the ranks from 0 of their relevant items in ascending order.

    Rows are filled up with the size of the gallery. Queries without relevant items are
    left out. With `nearest_only` there is one rank, of the nearest relevant item. All
    devices that this process has share the work, unless JAX was told to use a certain
    one.
    """
    chosen = jax.config.jax_default_device is not None
    devices = list(jnp.zeros(()).devices()) if chosen else jax.local_devices()
    mesh = Mesh(np.array(devices), "device")
    size = len(search.gallery)
    order, own, first, relevant = sort_by_class(search)
    if not relevant.any():
        return
    symmetric = search.among_themselves and size * relevant.max() <= MAX_TARGETS
    if symmetric:
        queries = order
    else:
        queries = np.argsort(first, kind="stable")
        queries = queries[relevant[queries] > 0]

    tile, columns = tile_rows(len(queries)), tile_rows(size)
    gallery = Gallery(
        blocks(search.gallery[order], columns, 0),
        blocks(search.offsets[order], columns, np.inf),
        blocks(order.astype(np.int32), columns, -1),
    )
    gallery = jax.device_put(gallery, NamedSharding(mesh, P()))
    steps = range(0, len(queries), len(queries) if symmetric else tile)
    for at in steps if symmetric else progress(steps):
        some = queries[at : at + steps.step]
        x = gallery.y if symmetric else blocks(search.queries[some], tile, 0)
        known = own[some], first[some], relevant[some], order
        ranks = _ranks(
            *make_queries(x, *known, columns),
            gallery,
            mesh,
            nearest_only,
            progress if symmetric else None,
        )
        ranks = ranks.transpose(0, 2, 1).reshape(-1, ranks.shape[1])[: len(some)]
        count = np.minimum(relevant[some], 1) if nearest_only else relevant[some]
        ranks = np.where(np.arange(ranks.shape[1]) < count[:, None], ranks, size)
        ranks = np.sort(ranks[count > 0], axis=1)
        yield some[count > 0], ranks[:, : count.max()]


def _ranks(
    queries: Queries,
    near: Int[np.ndarray, "b 2"],
    gallery: Gallery,
    mesh: Mesh,
    nearest_only: bool,
    progress: Progress | None,
) -> Int[np.ndarray, "b r t"]:
    """Counts what comes before each relevant item, in two sweeps over the tiles.

    With a `progress` the queries are the gallery.
    """
    everywhere = NamedSharding(mesh, P())
    queries = jax.device_put(queries, everywhere)
    integer = key_dtype(gallery.y.dtype)
    symmetric = progress is not None
    # Before what is no target comes nothing.
    fill = np.iinfo(integer).min
    work = _work(near, mesh.size, symmetric)
    targets = _sweep(work, queries, gallery, None, fill, integer, mesh, symmetric)
    targets = jax.device_put(jnp.max(targets, axis=0), everywhere)
    if nearest_only:
        queries, targets = _nearest_targets(queries, targets)
    work = _work(near * 0 + [0, len(gallery.y)], mesh.size, symmetric)
    work = progress(work) if symmetric else work
    counts = _sweep(work, queries, gallery, targets, 0, np.int32, mesh, symmetric)
    return np.asarray(jnp.sum(counts, axis=0))


def _work(
    ranges: Int[np.ndarray, "b 2"], devices: int, symmetric: bool
) -> list[Int[np.ndarray, "p 3"]]:
    """What each device does in each step: a block of queries, and a range of tiles.

    Of many blocks, devices take one each; they share the tiles of a single one.
    """
    if symmetric:
        parts = [(b, max(b, low), high) for b, (low, high) in enumerate(ranges)]
    else:
        ((low, high),) = ranges
        edges = np.linspace(low, high, devices + 1).astype(int)
        parts = [(0, *edge) for edge in pairwise(edges)]
    parts += [(0, 0, 0)] * (-len(parts) % devices)
    return list(np.array(parts, np.int32).reshape(-1, devices, 3))


def _sweep(work, queries, gallery, targets, fill, dtype, mesh, symmetric):
    """What each device makes of its share of the tiles."""
    apart = NamedSharding(mesh, P("device"))
    state = np.full((mesh.size, *queries.indices.shape), fill, dtype)
    state = jax.device_put(state, apart)
    for bounds in work:
        bounds = jax.device_put(bounds, apart)
        options = {"mesh": mesh, "symmetric": symmetric}
        state = row_of_tiles(bounds, queries, gallery, targets, state, **options)
        state.block_until_ready()  # or a display of the progress would run ahead
    return state


@jax.jit
def _nearest_targets(queries: Queries, targets):
    """Of each query's targets the first alone; the others are none."""
    there = jnp.arange(targets.shape[1])[:, None] < queries.relevant[:, None]
    limits = jnp.iinfo(targets.dtype)
    target = jnp.min(jnp.where(there, targets, limits.max), axis=1, keepdims=True)
    last = jnp.iinfo(jnp.int32).max
    index = jnp.where(there & (targets == target), queries.indices, last)
    index = jnp.min(index, axis=1, keepdims=True)
    rest = ((0, 0), (0, TARGETS_PER_PASS - 1), (0, 0))
    return (
        queries._replace(
            indices=jnp.pad(index, rest), passes=jnp.minimum(queries.passes, 1)
        ),
        jnp.pad(target, rest, constant_values=limits.min),
    )
