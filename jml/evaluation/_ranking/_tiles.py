"""What devices do for ``relevant_ranks``: tiles of the matrix, one after another."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from ._keys import distances, inner_products, key_dtype, keys
from ._layout import TARGETS_PER_PASS, Gallery, Queries, Thresholds

APART = P("device")


@partial(jax.jit, static_argnames=("mesh", "symmetric"), donate_argnames="state")
def collect(bounds, queries, gallery, places, state, *, mesh, symmetric):
    """On each device, one block of queries against a range of the gallery's blocks.

    Puts the keys of the items at `places` of the sorted gallery into the state.
    """

    def serve(products, block, other, state, side):
        tile_keys = keys(distances(products, gallery.offsets[other]))
        return _collect(tile_keys, places, block, other * tile_keys.shape[1], state)

    return _sweep(serve, bounds, queries, gallery, state, mesh, symmetric)


@partial(
    jax.jit, static_argnames=("mesh", "symmetric", "any_near"), donate_argnames="state"
)
def count(bounds, queries, gallery, thresholds, state, *, mesh, symmetric, any_near):
    """The same; adds to the state how many items come before each threshold.

    Returns:
        The state, and how many items lie within the limits, if `any_near` says that
        there are limits: of the queries of the block in each of the gallery's blocks
        and, where tiles serve their columns as well, of each block's in the one block.
    """
    blocks, (_, _, tile) = len(gallery.y), thresholds.keys.shape

    def serve(products, block, other, state, side):
        before, near = state
        tile_keys = keys_of_tile(products, queries, gallery, block, other)
        before = _count(tile_keys, thresholds, block, gallery.index[other], before)
        if not any_near:
            return before, near
        at = side, other if side == 0 else block
        return before, _count_near(tile_keys, thresholds, block, at, near)

    sides = 0 if not any_near else 2 if symmetric else 1
    near = jnp.zeros((len(bounds), sides, blocks, tile), jnp.int32)
    return _sweep(serve, bounds, queries, gallery, (state, near), mesh, symmetric)


@partial(jax.jit, static_argnames="mesh")
def rows_of_keys(queries: Queries, gallery: Gallery, *, mesh):
    """On each device, all keys of one block of queries: whole rows of the matrix."""
    blocks, columns = gallery.y.shape[:2]
    dtype = key_dtype(gallery.y.dtype)

    def of_device(queries):
        def step(other, rows):
            products = inner_products(queries.x[0], gallery.y[other])
            tile_keys = keys_of_tile(products, queries, gallery, 0, other)
            start = (jnp.int32(0), jnp.int32(other * columns))
            return jax.lax.dynamic_update_slice(rows, tile_keys, start)

        rows = jnp.zeros((queries.x.shape[1], blocks * columns), dtype)
        return jax.lax.fori_loop(0, blocks, step, rows)[None]

    return jax.shard_map(
        of_device, mesh=mesh, in_specs=(APART,), out_specs=APART, check_vma=False
    )(queries)


def keys_of_tile(products, queries: Queries, gallery: Gallery, block, other):
    """The keys of a tile; what is left out for a query gets the last one."""
    tile_keys = keys(distances(products, gallery.offsets[other]))
    query = jax.tree.map(lambda a: a[block], queries._replace(x=None))
    item = jax.tree.map(lambda a: a[other], gallery._replace(y=None))
    out = left_out(query.ids, query.groups, item.ids, item.groups)
    return jnp.where(out, jnp.iinfo(tile_keys.dtype).max, tile_keys)


def left_out(ids, groups, gallery_ids, gallery_groups):
    """Which items of a tile are left out for which queries."""
    out = ids[:, None] == gallery_ids[None]
    if groups is not None:
        out |= groups[:, None] == gallery_groups[None]
    return out


def _sweep(serve, bounds, queries, gallery, state, mesh, symmetric):
    def of_device(bounds, state):
        block, low, high = bounds[0]

        def step(other, state):
            products = inner_products(queries.x[block], gallery.y[other])
            state = serve(products, block, other, state, 0)
            if not symmetric:
                return state
            # Transposed alone: fused with what follows, it is read across memory.
            across = jax.lax.optimization_barrier(products.T)
            return jax.lax.cond(
                other == block,
                lambda state: state,
                lambda state: serve(across, other, block, state, 1),
                state,
            )

        state = jax.tree.map(lambda a: a[0], state)
        state = jax.lax.fori_loop(low, high, step, state)
        return jax.tree.map(lambda a: a[None], state)

    run = jax.shard_map(
        of_device,
        mesh=mesh,
        in_specs=(APART, APART),
        out_specs=APART,
        check_vma=False,
    )
    return run(bounds, state)


def _collect(tile_keys, places, block, start, state):
    column = places[block] - start
    inside = (column >= 0) & (column < tile_keys.shape[1])
    column = jnp.clip(column, 0, tile_keys.shape[1] - 1)
    found = jnp.take_along_axis(tile_keys, column.T, axis=1).T
    return state.at[block].set(jnp.where(inside, found, state[block]))


def _count(tile_keys, thresholds: Thresholds, block, index, state):
    """Adds how many of a tile come before each threshold of a block."""

    def one_pass(number, state):
        at = number * TARGETS_PER_PASS
        some, places = (
            jax.lax.dynamic_slice_in_dim(a[block], at, TARGETS_PER_PASS)
            for a in (thresholds.keys, thresholds.index)
        )
        before = [
            (
                tile_keys
                < key[:, None] + (index[None] < place[:, None]).astype(key.dtype)
            ).astype(jnp.int32)
            for key, place in zip(some, places, strict=True)
        ]
        # One reduction of several arrays reads the tile once, four times as fast.
        zeros = [jnp.int32(0)] * TARGETS_PER_PASS
        counts = jnp.stack(jax.lax.reduce(before, zeros, _add, (1,)))
        start = [jnp.int32(i) for i in (block, at, 0)]
        old = jax.lax.dynamic_slice(state, start, (1, *counts.shape))
        return jax.lax.dynamic_update_slice(state, old + counts[None], start)

    return jax.lax.fori_loop(0, thresholds.passes[block], one_pass, state)


def _count_near(tile_keys, thresholds: Thresholds, block, at, state):
    """Notes how many of a tile are near, for each query of a block."""

    def near(_, state):
        inside = tile_keys <= thresholds.near[block][:, None]
        number = jnp.sum(inside, axis=1, dtype=jnp.int32)
        return state.at[at].set(number)

    return jax.lax.fori_loop(0, thresholds.any_near[block], near, state)


def _add(one, other):
    return [a + b for a, b in zip(one, other, strict=True)]
