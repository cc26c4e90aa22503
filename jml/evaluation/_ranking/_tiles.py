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

from ._keys import key_dtype, keys, partial_squares
from ._layout import Gallery, Queries
from ._tile_keys import add_counts, keys_of_tile, pick_targets, write_near

SHARDED = P("device")


@partial(jax.jit, static_argnames=("mesh", "symmetric"), donate_argnames="state")
def collect(bounds, queries, gallery, places, state, *, mesh, symmetric):
    """Puts the keys of the items at `places` of the sorted gallery into the state.

    Each device compares one block of queries with a range of the gallery's blocks.
    """

    def serve(products, block, other, state, side):
        tile_keys = keys(partial_squares(products, gallery.offsets[other]))
        return pick_targets(tile_keys, places, block, other * tile_keys.shape[1], state)

    return _sweep(serve, bounds, queries, gallery, state, mesh, symmetric)


@partial(
    jax.jit, static_argnames=("mesh", "symmetric", "any_near"), donate_argnames="state"
)
def count(bounds, queries, gallery, thresholds, state, *, mesh, symmetric, any_near):
    """Adds to the state how many items come before each threshold.

    Each device compares one block of queries with a range of the gallery's blocks.

    Returns:
        The state; and, if `any_near`, how many items are within the limits. These are
        counts for the queries of the block, in each of the gallery's blocks. Where
        tiles serve their columns, counts for the queries of each other block, among the
        items of this one, follow.
    """
    blocks, (_, _, tile) = len(gallery.y), thresholds.keys.shape

    def serve(products, block, other, state, side):
        before, near = state
        tile_keys = keys_of_tile(products, queries, gallery, block, other)
        before = add_counts(tile_keys, thresholds, block, gallery.item[other], before)
        if not any_near:
            return before, near
        at = side, other if side == 0 else block
        return before, write_near(tile_keys, thresholds, block, at, near)

    sides = 0 if not any_near else 2 if symmetric else 1
    near = jnp.zeros((len(bounds), sides, blocks, tile), jnp.int32)
    return _sweep(serve, bounds, queries, gallery, (state, near), mesh, symmetric)


@partial(jax.jit, static_argnames="mesh")
def rows_of_keys(queries: Queries, gallery: Gallery, *, mesh):
    """All keys of one block of queries a device: whole rows of the matrix."""
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
        of_device, mesh=mesh, in_specs=(SHARDED,), out_specs=SHARDED, check_vma=False
    )(queries)


def _sweep(
    serve: Callable[..., Any],
    bounds: Int[Array, "p 3"],
    queries: Queries,
    gallery: Gallery,
    state: Any,
    mesh: Mesh,
    symmetric: bool,
) -> Any:
    """Calls `serve` with the products of each tile within a device's bounds.

    With `symmetric` the queries are the gallery, and a tile is served once more,
    transposed, for the queries of its columns.

    All tiles have one shape. So an entry is summed in the same order wherever it
    stands, and equal rows give equal numbers.
    """

    def of_device(bounds, state):
        block, low, high = bounds[0]

        def step(other, state):
            products = inner_products(queries.x[block], gallery.y[other])
            state = serve(products, block, other, state, 0)
            if not symmetric:
                return state
            # The barrier keeps XLA from fusing the transposition with what follows,
            # which would then read the tile column by column, across memory.
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
        in_specs=(SHARDED, SHARDED),
        out_specs=SHARDED,
        check_vma=False,
    )
    return run(bounds, state)
