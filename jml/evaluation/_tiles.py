"""What devices do for ``relevant_ranks``: tiles of the matrix, one after another."""

from functools import partial

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from ._keys import distances, inner_products, key_dtype, keys
from ._layout import TARGETS_PER_PASS, Queries


@partial(jax.jit, static_argnames=("mesh", "symmetric"), donate_argnames="state")
def row_of_tiles(bounds, queries, gallery, targets, state, *, mesh, symmetric):
    """On each device, one block of queries against a range of the gallery's blocks.

    Without targets it collects them; with targets it counts what comes before.
    """
    columns = gallery.y.shape[1]
    last_key = jnp.iinfo(key_dtype(gallery.y.dtype)).max

    def serve(products, block, other, state):
        """Adds to the state what a tile holds for one block of queries."""
        tile_keys = keys(distances(products, gallery.offsets[other]))
        place = other * columns + jnp.arange(columns)
        self_index = place == queries.self_index[block][:, None]
        tile_keys = jnp.where(self_index, last_key, tile_keys)
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
            # Transposed alone: fused with what follows, it is read across memory.
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
    first, self_index = queries.first[block], queries.self_index[block]
    relevant = queries.relevant[block]
    place = first + rank
    within = (first <= self_index) & (self_index <= first + relevant)
    place += within & (place >= self_index)
    column = place - start
    inside = (column >= 0) & (column < tile_keys.shape[1]) & (rank < relevant)
    column = jnp.clip(column, 0, tile_keys.shape[1] - 1)
    found = jnp.take_along_axis(tile_keys, column.T, axis=1).T
    return state.at[block].set(jnp.where(inside, found, state[block]))


def _count(tile_keys, queries: Queries, block, targets, index, state):
    """Adds how many of a tile come before each target of a block."""

    def one_pass(number, state):
        at = number * TARGETS_PER_PASS
        some = jax.lax.dynamic_slice_in_dim(targets, at, TARGETS_PER_PASS)
        places = jax.lax.dynamic_slice_in_dim(
            queries.indices[block], at, TARGETS_PER_PASS
        )
        before = [
            (tile_keys < target[:, None] + (index < place[:, None])).astype(jnp.int32)
            for target, place in zip(some, places, strict=True)
        ]
        # One reduction of several arrays reads the tile once, four times as fast.
        zeros = [jnp.int32(0)] * TARGETS_PER_PASS
        counts = jnp.stack(jax.lax.reduce(before, zeros, _add, (1,)))
        start = [jnp.int32(i) for i in (block, at, 0)]
        old = jax.lax.dynamic_slice(state, start, (1, *counts.shape))
        return jax.lax.dynamic_update_slice(state, old + counts, start)

    return jax.lax.fori_loop(0, queries.passes[block], one_pass, state)


def _add(one, other):
    return [a + b for a, b in zip(one, other, strict=True)]
