"""The keys of one tile, and what is picked and counted in them."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float
from jaxtyping import Integer as Int

from ._keys import keys, partial_squares
from ._layout import TARGETS_PER_PASS, Gallery, Queries, Thresholds


def at_block(blocks: Any, block: Any) -> Any:
    """One block of each array of a tree, without the care for numbers below 0."""
    return jax.tree.map(
        lambda a: jax.lax.dynamic_index_in_dim(
            a, block, keepdims=False, allow_negative_indices=False
        ),
        blocks,
    )


def keys_of_tile(
    products: Float[Array, "t s"],
    queries: Queries,
    gallery: Gallery,
    block: Any,
    other: Any,
) -> Int[Array, "t s"]:
    """The keys of a tile; an item that is left out for a query gets the highest."""
    ids, groups = at_block((queries.ids, queries.groups), block)
    offsets, other_ids, other_groups = at_block(
        (gallery.offsets, gallery.ids, gallery.groups), other
    )
    tile_keys = keys(partial_squares(products, offsets))
    out = left_out(ids, groups, other_ids, other_groups)
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
    products: Float[Array, "t s"],
    offsets: Float[Array, " s"],
    places: Int[Array, "r q"],
    start: Any,
    old: Int[Array, "r q"],
    axis: int,
) -> Int[Array, "r q"]:
    """Picks the targets in a tile whose first place is `start`, and makes their keys.

    Items are along the `axis` of the tile, queries along the other. The keys are those
    of ``keys_of_tile``, bit for bit.
    """
    column = places - start
    inside = (column >= 0) & (column < len(offsets))
    column = jnp.clip(column, 0, len(offsets) - 1)
    at = column.T if axis else column
    picked = jnp.take_along_axis(products, at, axis=axis, mode="clip")
    picked = picked.T if axis else picked
    of_items = jnp.take(offsets, column.ravel(), mode="clip")
    picked_keys = keys(partial_squares(picked.reshape(1, -1), of_items))
    return jnp.where(inside, picked_keys.reshape(old.shape), old)


def count_before(
    tile_keys: Int[Array, "t s"],
    thresholds: Thresholds,
    items: Int[Array, " s"],
) -> Int[Array, "r t"]:
    """How many items of a tile come before each threshold of one block."""

    def one_pass(number, counts):
        at = number * TARGETS_PER_PASS
        target_keys, targets = (
            jax.lax.dynamic_slice_in_dim(
                a, at, TARGETS_PER_PASS, allow_negative_indices=False
            )
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
        of_pass = jnp.stack(jax.lax.reduce(before, zeros, _add, (1,)))
        return jax.lax.dynamic_update_slice_in_dim(
            counts, of_pass, at, 0, allow_negative_indices=False
        )

    counts = jnp.zeros(thresholds.keys.shape, jnp.int32)
    return jax.lax.fori_loop(0, thresholds.passes, one_pass, counts)


def _add(one: list, other: list) -> list:
    return [a + b for a, b in zip(one, other, strict=True)]
