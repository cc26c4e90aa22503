"""The keys of one tile, and what is picked and counted in them."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from jaxtyping import Integer as Int

from ._keys import keys, partial_squares
from ._layout import TARGETS_PER_PASS, Gallery, Queries, Thresholds


def keys_of_tile(
    products: Float[Array, "t s"],
    queries: Queries,
    gallery: Gallery,
    block: Any,
    other: Any,
) -> Int[Array, "t s"]:
    """The keys of a tile; an item that is left out for a query gets the highest."""
    tile_keys = keys(partial_squares(products, gallery.offsets[other]))
    groups = None if queries.groups is None else queries.groups[block]
    others = None if gallery.groups is None else gallery.groups[other]
    out = left_out(queries.ids[block], groups, gallery.ids[other], others)
    return jnp.where(out, jnp.iinfo(tile_keys.dtype).max, tile_keys)


def left_out(
    ids: Int[Array, " t"],
    groups: Int[Array, " t"] | None,
    gallery_ids: Int[Array, " s"],
    gallery_groups: Int[Array, " s"] | None,
) -> Bool[Array, "t s"]:
    """Which items of a tile are left out for which queries."""
    out = ids[:, None] == gallery_ids[None]
    if groups is not None and gallery_groups is not None:
        out |= groups[:, None] == gallery_groups[None]
    return out


def pick_targets(
    tile_keys: Int[Array, "t s"],
    places: Int[Array, "b r t"],
    block: Any,
    start: Any,
    state: Int[Array, "b r t"],
) -> Int[Array, "b r t"]:
    """Picks the keys of the targets in a tile whose first place is `start`."""
    column = places[block] - start
    inside = (column >= 0) & (column < tile_keys.shape[1])
    column = jnp.clip(column, 0, tile_keys.shape[1] - 1)
    picked = jnp.take_along_axis(tile_keys, column.T, axis=1).T
    return state.at[block].set(jnp.where(inside, picked, state[block]))


def add_counts(
    tile_keys: Int[Array, "t s"],
    thresholds: Thresholds,
    block: Any,
    items: Int[Array, " s"],
    state: Int[Array, "b r t"],
) -> Int[Array, "b r t"]:
    """Adds how many items of a tile come before each threshold of a block."""

    def one_pass(number, state):
        at = number * TARGETS_PER_PASS
        target_keys, targets = (
            jax.lax.dynamic_slice_in_dim(a[block], at, TARGETS_PER_PASS)
            for a in (thresholds.keys, thresholds.item)
        )
        # At equal keys a lower index comes before: it is compared with the key + 1.
        before = [
            (
                tile_keys
                < key[:, None] + (items[None] < target[:, None]).astype(key.dtype)
            ).astype(jnp.int32)
            for key, target in zip(target_keys, targets, strict=True)
        ]
        # One reduction of four arrays reads the tile once, and not four times.
        zeros = [jnp.int32(0)] * TARGETS_PER_PASS
        counts = jnp.stack(jax.lax.reduce(before, zeros, _add, (1,)))
        start = [jnp.int32(i) for i in (block, at, 0)]
        old = jax.lax.dynamic_slice(state, start, (1, *counts.shape))
        return jax.lax.dynamic_update_slice(state, old + counts[None], start)

    return jax.lax.fori_loop(0, thresholds.passes[block], one_pass, state)


def write_near(
    tile_keys: Int[Array, "t s"],
    thresholds: Thresholds,
    block: Any,
    at: Any,
    state: Int[Array, "sides g t"],
) -> Int[Array, "sides g t"]:
    """Writes how many items of a tile are within the limit of each query of a block.

    A loop of zero or one turns skips the work where no query has a limit. `lax.cond`
    would do so, too, but runs its branches on one core of a CPU.
    """

    def near(_, state):
        inside = tile_keys <= thresholds.near[block][:, None]
        number = jnp.sum(inside, axis=1, dtype=jnp.int32)
        return state.at[at].set(number)

    return jax.lax.fori_loop(0, thresholds.any_near[block], near, state)


def _add(one: list, other: list) -> list:
    return [a + b for a, b in zip(one, other, strict=True)]
