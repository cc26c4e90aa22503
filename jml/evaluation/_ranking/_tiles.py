"""What the devices do: tiles of the distance matrix, one after another."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array
from jaxtyping import Integer as Int

from jml.distances import inner_products

from ._keys import key_dtype
from ._layout import TARGETS_PER_PASS, Gallery, Queries
from ._tile_keys import at_block, count_before, keys_of_tile, pick_targets

SHARDED = P("device")


@partial(jax.jit, static_argnames=("mesh", "symmetric"), donate_argnames="state")
def collect(bounds, queries, gallery, places, state, *, mesh, symmetric):
    """Puts the keys of the items at `places` of the sorted gallery into the state.

    Each device compares one block of queries with a range of the gallery's blocks.
    """

    def pick(products, block, other, state, axis):
        offsets, of_block = at_block(gallery.offsets, other), at_block(places, block)
        start, old = other * len(offsets), at_block(state, block)
        picked = pick_targets(products, offsets, of_block, start, old, axis)
        return _put(state, picked, block)

    def serve(products, block, other, state):
        if symmetric:  # for the queries of the columns
            state = pick(products, other, block, state, 0)
        return pick(products, block, other, state, 1)

    return _sweep(serve, bounds, queries, gallery, state, mesh)


@partial(jax.jit, static_argnames=("mesh", "symmetric"), donate_argnames="state")
def count(bounds, queries, gallery, thresholds, state, *, mesh, symmetric):
    """Adds to the state how many items come before each threshold.

    Each device compares one block of queries with a range of the gallery's blocks.

    Returns:
        The state, and how many items are within the limits, where a query of the block
        has one. These are counts for the queries of the block, in each of the gallery's
        blocks. Where tiles serve their columns, counts for the queries of each other
        block, among the items of this one, follow.
    """
    blocks, (_, _, tile) = len(gallery.y), thresholds.keys.shape

    def counts_of(products, block, other):
        tile_keys = keys_of_tile(products, queries, gallery, block, other)
        return count_before(
            tile_keys, at_block(thresholds, block), at_block(gallery.item, other)
        )

    def add(state, block, counts, near_place):
        before, near = state
        row = at_block(thresholds.passes, block) * TARGETS_PER_PASS - 1  # of the limits
        limited = jax.lax.dynamic_slice_in_dim(counts, row, 1)[None]
        near = jax.lax.dynamic_update_slice(
            near, limited, (*near_place, jnp.int32(0)), allow_negative_indices=False
        )
        total = at_block(before, block) + counts
        return _put(before, total, block), near

    def serve(products, block, other, state):
        counts = counts_of(products, block, other)
        state = add(state, block, counts, (jnp.int32(0), other))
        if not symmetric:
            return state
        # The barrier keeps XLA from fusing the transposition with what follows, which
        # would then read the tile column by column, across memory.
        across = jax.lax.optimization_barrier(products.T)
        counts = jax.lax.cond(
            other == block,
            lambda: jnp.zeros(thresholds.keys.shape[1:], jnp.int32),
            lambda: counts_of(across, other, block),
        )
        return add(state, other, counts, (jnp.int32(1), other))

    near = jnp.zeros((len(bounds), 1 + symmetric, blocks, tile), jnp.int32)
    return _sweep(serve, bounds, queries, gallery, (state, near), mesh)


@partial(jax.jit, static_argnames="mesh")
def rows_of_keys(queries: Queries, gallery: Gallery, *, mesh):
    """All keys of one block of queries a device: whole rows of the matrix."""
    blocks, columns = gallery.y.shape[:2]
    dtype = key_dtype(gallery.y.dtype)

    def of_device(queries):
        def step(other, rows):
            products = inner_products(queries.x[0], at_block(gallery.y, other))
            tile_keys = keys_of_tile(products, queries, gallery, 0, other)
            start = (jnp.int32(0), jnp.int32(other * columns))
            return jax.lax.dynamic_update_slice(rows, tile_keys, start)

        rows = jnp.zeros((queries.x.shape[1], blocks * columns), dtype)
        return jax.lax.fori_loop(0, blocks, step, rows)[None]

    return jax.shard_map(
        of_device, mesh=mesh, in_specs=(SHARDED,), out_specs=SHARDED, check_vma=False
    )(queries)


def _sweep(
    serve: Callable[..., Any],
    bounds: Int[Array, "p 3"],
    queries: Queries,
    gallery: Gallery,
    state: Any,
    mesh: Mesh,
) -> Any:
    """Calls `serve` with the products of each tile within a device's bounds.

    All tiles have one shape. So an entry is summed in the same order wherever it
    stands, and equal rows give equal numbers.
    """

    def of_device(bounds, state):
        block, low, high = bounds[0]

        def step(other, state):
            x, y = at_block(queries.x, block), at_block(gallery.y, other)
            return serve(inner_products(x, y), block, other, state)

        state = jax.tree.map(lambda a: a[0], state)
        state = jax.lax.fori_loop(low, high, step, state)
        return jax.tree.map(lambda a: a[None], state)

    run = jax.shard_map(
        of_device,
        mesh=mesh,
        in_specs=(SHARDED, SHARDED),
        out_specs=SHARDED,
        check_vma=False,
    )
    return run(bounds, state)


def _put(blocks: Int[Array, "b r t"], one: Int[Array, "r t"], block: Any) -> Array:
    return jax.lax.dynamic_update_index_in_dim(
        blocks, one, block, 0, allow_negative_indices=False
    )
