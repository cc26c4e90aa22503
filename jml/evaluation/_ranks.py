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

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Int

from ._inputs import Search
from ._keys import distances, inner_products, key_dtype, keys
from ._layout import (
    TOGETHER,
    Gallery,
    Queries,
    blocks,
    class_starts,
    make_queries,
    tile_rows,
)

Progress = Callable[[Iterable[Any]], Iterable[Any]]
MOST = 2**25  # targets kept at once; with more of them, tiles serve their rows alone


def relevant_ranks(
    search: Search,
    *,
    devices: Sequence[jax.Device] | None = None,
    progress: Progress = lambda steps: steps,
) -> Iterator[tuple[Int[np.ndarray, " q"], Int[np.ndarray, "q r"]]]:
    """Yields queries, and the ranks from 0 of their relevant items in ascending order.

    Rows are filled up with the size of the gallery. Queries without relevant items are
    left out. Each device takes its share of the tiles: by default all that this process
    has, unless JAX was told to use a certain one.
    """
    if devices is None and jax.config.jax_default_device is None:
        devices = jax.local_devices()
    mesh = Mesh(np.array(devices or list(jnp.zeros(()).devices())), "device")
    size = len(search.gallery)
    counts = np.bincount(search.gallery_classes, minlength=len(search.labels))
    starts = class_starts(counts)
    order = np.argsort(starts[search.gallery_classes], kind="stable")
    place = np.argsort(order)
    own = np.where(search.itself >= 0, place[search.itself], -1)
    alike = search.gallery_classes[search.itself] == search.classes
    relevant = counts[search.classes] - ((search.itself >= 0) & alike)
    most = relevant.max()
    symmetric = search.among_themselves and size * most <= MOST
    if symmetric:
        queries = order
    else:
        queries = np.argsort(starts[search.classes], kind="stable")
        queries = queries[relevant[queries] > 0]
    if not most:
        return

    tile, columns = tile_rows(len(queries)), tile_rows(size)
    gallery = Gallery(
        blocks(search.gallery[order], columns, 0),
        blocks(search.offsets[order], columns, np.inf),
        blocks(order.astype(np.int32), columns, -1),
    )
    everywhere = NamedSharding(mesh, P())
    gallery = jax.device_put(gallery, everywhere)
    step = len(queries) if symmetric else tile * mesh.size
    starts_of_steps = range(0, len(queries), step)
    for at in starts_of_steps if symmetric else progress(starts_of_steps):
        some = queries[at : at + step]
        block = make_queries(
            gallery.y if symmetric else blocks(search.queries[some], tile, 0),
            own[some],
            starts[search.classes[some]],
            relevant[some],
            order,
            columns,
        )
        ranks = _ranks(block, gallery, mesh, progress if symmetric else None)
        ranks = ranks.transpose(0, 2, 1).reshape(-1, ranks.shape[1])[: len(some)]
        missing = np.arange(ranks.shape[1]) >= relevant[some, None]
        ranks = np.where(missing, size, ranks)[relevant[some] > 0]
        ranks.sort(axis=1)
        yield some[relevant[some] > 0], ranks


def _ranks(
    queries: Queries, gallery: Gallery, mesh: Mesh, progress: Progress | None
) -> Int[np.ndarray, "b r t"]:
    """Counts what comes before each relevant item, in two sweeps over the tiles.

    With a `progress` the queries are the gallery.
    """
    symmetric = progress is not None
    count, rows, tile = queries.indices.shape
    near = queries.near
    everywhere, apart = NamedSharding(mesh, P()), NamedSharding(mesh, P("device"))
    queries = jax.device_put(queries, everywhere)

    def sweep(ranges, targets, fill, dtype, steps):
        """What each device makes of its share of the blocks of queries."""
        state = np.full((mesh.size, count, rows, tile), fill, dtype)
        state = jax.device_put(state, apart)
        for at in steps:
            block = np.arange(at, at + mesh.size)
            here = np.minimum(block, count - 1)
            low, high = ranges[here].T
            low = np.maximum(low, here) if symmetric else low
            high = np.where(block < count, high, 0)
            bounds = np.stack([here, low, high], axis=1).astype(np.int32)
            bounds = jax.device_put(bounds, apart)
            options = {"mesh": mesh, "symmetric": symmetric}
            state = _row_of_tiles(bounds, queries, gallery, targets, state, **options)
            state.block_until_ready()  # or a display of the progress would run ahead
        return state

    integer = key_dtype(gallery.y.dtype)
    steps = range(0, count, mesh.size)
    # Before what is no target comes nothing.
    targets = sweep(near, None, np.iinfo(integer).min, integer, steps)
    targets = jax.device_put(jnp.max(targets, axis=0), everywhere)
    everything = np.tile([0, len(gallery.y)], (count, 1))
    steps = progress(steps) if symmetric else steps
    return np.asarray(jnp.sum(sweep(everything, targets, 0, np.int32, steps), axis=0))


@partial(jax.jit, static_argnames=("mesh", "symmetric"), donate_argnames="state")
def _row_of_tiles(bounds, queries, gallery, targets, state, *, mesh, symmetric):
    """On each device, one block of queries against a range of the gallery's blocks.

    Without targets it collects them; with targets it counts what comes before.
    """
    columns = gallery.y.shape[1]
    last_key = jnp.iinfo(key_dtype(gallery.y.dtype)).max

    def serve(products, block, other, state):
        """Adds to the state what a tile holds for one block of queries."""
        tile_keys = keys(distances(products, gallery.offsets[other]))
        place = other * columns + jnp.arange(columns)
        itself = place == queries.itself[block][:, None]
        tile_keys = jnp.where(itself, last_key, tile_keys)
        if targets is None:
            return _collect(tile_keys, queries, block, other * columns, state)
        index = gallery.index[other]
        return _count(tile_keys, queries, block, targets[block], index, state)

    def of_device(bounds, state):
        block, low, high = bounds[0]

        def step(other, state):
            products = inner_products(queries.x[block], gallery.y[other])
            state = serve(products, block, other, state)
            if not symmetric:
                return state
            # Transposed by itself: fused with what follows, it is read across memory.
            across = jax.lax.optimization_barrier(products.T)
            return jax.lax.cond(
                other == block,
                lambda state: state,
                lambda state: serve(across, other, block, state),
                state,
            )

        return jax.lax.fori_loop(low, high, step, state[0])[None]

    apart = P("device")
    run = jax.shard_map(
        of_device,
        mesh=mesh,
        in_specs=(apart, apart),
        out_specs=apart,
        check_vma=False,
    )
    return run(bounds, state)


def _collect(tile_keys, queries: Queries, block, start, state):
    """Puts the keys of the relevant items in a tile into the state."""
    rank = jnp.arange(state.shape[1])[:, None]
    first, itself = queries.first[block], queries.itself[block]
    relevant = queries.relevant[block]
    place = first + rank
    within = (first <= itself) & (itself <= first + relevant)
    place += within & (place >= itself)
    column = place - start
    inside = (column >= 0) & (column < tile_keys.shape[1]) & (rank < relevant)
    column = jnp.clip(column, 0, tile_keys.shape[1] - 1)
    found = jnp.take_along_axis(tile_keys, column.T, axis=1).T
    return state.at[block].set(jnp.where(inside, found, state[block]))


def _count(tile_keys, queries: Queries, block, targets, index, state):
    """Adds how many of a tile come before each target of a block."""

    def one_pass(number, state):
        at = number * TOGETHER
        some = jax.lax.dynamic_slice_in_dim(targets, at, TOGETHER)
        places = jax.lax.dynamic_slice_in_dim(queries.indices[block], at, TOGETHER)
        before = [
            (tile_keys < target[:, None] + (index < place[:, None])).astype(jnp.int32)
            for target, place in zip(some, places, strict=True)
        ]
        # One reduction of several arrays reads the tile once, four times as fast.
        zeros = [jnp.int32(0)] * TOGETHER
        counts = jnp.stack(jax.lax.reduce(before, zeros, _add, (1,)))
        start = [jnp.int32(i) for i in (block, at, 0)]
        old = jax.lax.dynamic_slice(state, start, (1, *counts.shape))
        return jax.lax.dynamic_update_slice(state, old + counts, start)

    return jax.lax.fori_loop(0, queries.passes[block], one_pass, state)


def _add(one, other):
    return [a + b for a, b in zip(one, other, strict=True)]
