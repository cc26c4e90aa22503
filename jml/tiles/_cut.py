"""Class weights, cut into tiles of a number of classes each."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from jml.pairwise import on_cpu, pvary_like

Carry = TypeVar("Carry")


class Part(NamedTuple):
    """The classes of one tile."""

    weights: Float[Array, "t *k d"]
    classes: Integer[Array, " t"]  # the label that each row stands for


class Cut(NamedTuple):
    """How weights of C classes are cut: `tiles` of them, of `size` classes, and a rest.

    Without a rest a tile has every `tiles`-th class: where the compiler has spread the
    classes over devices, each device then holds an equal part of every tile. Otherwise
    a tile has classes that follow each other, and the last tile has fewer: weights that
    were padded instead would be a second copy of all.
    """

    tiles: int
    size: int
    rest: int = 0


def choose_cut(
    classes: int, items: int, centers: int, dim: int, block_size: int | None
) -> Cut:
    """The cut for classes of so many centers [dim], beside so many items.

    One tile is fastest as long as a CPU's caches hold it: it is made once and not
    twice. By default a tile of several is smaller than that, and so are its weights.
    """
    if block_size is None:
        whole, tile = (2**22, 2**20) if on_cpu() else (2**27, 2**26)
        if classes * items * centers <= whole:
            return Cut(1, classes)
        block_size = max(64, tile // (max(items, dim) * centers))
    least = -(-classes // min(block_size, classes))
    for count in range(least, 2 * least + 1):
        if classes % count == 0:
            return Cut(count, classes // count)
    size = -(-classes // least)
    return Cut(classes // size, size, classes % size)


def take(
    weights: Float[Array, "c *k d"], classes: Integer[Array, " c"], cut: Cut, turn: Any
) -> Part:
    """Tile number `turn`, which may be traced; number `cut.tiles` is the rest."""
    if cut.tiles == 1 and not cut.rest:
        return Part(weights, classes)
    if weights.dtype.itemsize == 2 and on_cpu() and not isinstance(turn, int):
        # XLA's CPU backend slices floats of 16 bits as float32: of the tile alone,
        # where it does not do so before the loop, for all weights.
        weights, turn = jax.lax.optimization_barrier((weights, turn))
    arrays = weights, classes
    if not cut.rest:
        shape = cut.size, cut.tiles
        parts = (a.reshape(*shape, *a.shape[1:]) for a in arrays)
        take_one = partial(jax.lax.dynamic_index_in_dim, axis=1, keepdims=False)
        return Part(*(take_one(part, turn) for part in parts))
    if isinstance(turn, int) and turn == cut.tiles:
        return Part(*(array[-cut.rest :] for array in arrays))
    start = turn * cut.size
    return Part(
        *(jax.lax.dynamic_slice_in_dim(array, start, cut.size) for array in arrays)
    )


def no_gradient(weights: Float[Array, "c *k d"], cut: Cut) -> Array:
    """Zeros for `put` to replace, in the shape of `take`'s tiles: [size, tiles, ...].

    To be reshaped after the loop, within which XLA may copy all to do so.
    """
    gradient = jnp.zeros_like(weights)
    if cut.tiles == 1 or cut.rest:
        return gradient
    return gradient.reshape(cut.size, cut.tiles, *weights.shape[1:])


def put(gradient: Array, part: Float[Array, "t *k d"], cut: Cut, turn: Any) -> Array:
    """The gradient of `no_gradient` with that by one tile in its place."""
    if cut.tiles == 1 and not cut.rest:
        return part
    if not cut.rest:
        return jax.lax.dynamic_update_index_in_dim(gradient, part, turn, 1)
    return jax.lax.dynamic_update_slice_in_dim(gradient, part, turn * cut.size, 0)


def fold(
    function: Callable[[Carry, Any], Carry], carry: Carry, cut: Cut, example: Any
) -> Carry:
    """Calls ``carry = function(carry, turn)`` for every tile.

    Args:
        function: of the carry and the number of a tile.
        carry: the first carry.
        cut: the tiles.
        example: arrays that vary over the same mapped axes as the carry will.
    """
    carry = pvary_like(example, carry)
    if cut.tiles == 1:
        carry = function(carry, 0)
    else:
        step = lambda carry, turn: (function(carry, turn), None)  # noqa: E731
        carry, _ = jax.lax.scan(step, carry, jnp.arange(cut.tiles))
    return function(carry, cut.tiles) if cut.rest else carry
