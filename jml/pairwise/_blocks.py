"""In which pieces the rows of the pair matrix are made, and on which devices."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jml._checks import check_count

from ._rows import AxisName, Items

C = TypeVar("C")
T = TypeVar("T")


class Plan(NamedTuple):
    """How rows are summed: how many at a time, and over which mapped axis."""

    block_size: int | None = None
    axis_name: AxisName = None

    def blocks(self, anchors: Items, items: Items) -> dict[str, int]:
        """The number of blocks and the anchors in each.

        By default a block stays in the cache of a CPU, and elsewhere fills the device.
        """
        number, width = len(anchors.index), max(1, len(items.index))
        entries = 2**20 if on_cpu() else 2**26
        size = self.block_size or max(64, entries // width)
        blocks = max(1, -(-number // size))
        return {"blocks": blocks, "size": -(-number // blocks)}

    def sum(self, tree: T) -> T:
        """The sum over the devices of the mapped axis."""
        return tree if self.axis_name is None else jax.lax.psum(tree, self.axis_name)

    def gather(self, array: Float[Array, " b"]) -> Float[Array, " n"]:
        """The arrays of all devices of the mapped axis, one after the other."""
        if self.axis_name is None:
            return array
        return jax.lax.all_gather(array, self.axis_name, tiled=True)

    def own_part(self, by_items: Float[Array, "m d"], size: int) -> Array:
        """Of a gradient by all items, that of this device's `size` anchors."""
        if self.axis_name is None:
            return by_items[:size]
        batch = by_items[: size * jax.lax.axis_size(self.axis_name)]
        return jax.lax.psum_scatter(batch, self.axis_name, tiled=True)


def on_cpu() -> bool:
    """Whether computations run on a CPU unless told otherwise."""
    return jax.default_backend() == "cpu"


def make_plan(name: str, block_size: int | None, axis_name: AxisName) -> Plan:
    """Raises ValueError unless the size is positive and the axis is a mapped one."""
    if block_size is not None:
        check_count(name, "block_size", block_size)
    if axis_name is not None and not _is_mapped(axis_name):
        raise ValueError(
            f"{name}: `axis_name` must be an axis of the jax.shard_map that this is "
            f"called in, got {axis_name!r}"
        )
    return Plan(block_size, axis_name)


def _is_mapped(axis_name) -> bool:
    names = axis_name if isinstance(axis_name, tuple) else (axis_name,)
    if not names or not all(isinstance(name, str) for name in names):
        return False
    try:
        return bool(jax.lax.axis_size(axis_name))
    except NameError:
        return False


def scan_blocks(
    function: Callable[[C, T], tuple[C, Any]],
    carry: C,
    rows: T,
    *,
    blocks: int,
    size: int,
) -> tuple[C, Any]:
    """Gives a function its carry and one block of rows after the other.

    It returns the next carry and arrays with an entry for each row of the block; so
    does this, with an entry for each row.

    Args:
        function: what to apply.
        carry: the first.
        rows: a tree of arrays, each with an entry for each row.
        blocks: how many.
        size: of each.
    """
    if blocks == 1:
        return function(carry, rows)
    total = len(jax.tree.leaves(rows)[0])

    # Each block takes rows from everywhere, so that devices that hold a part of them
    # each hold a part of every block. Padding is 0 and False: of anchors, absent.
    def split(array: Array) -> Array:
        padding = [(0, blocks * size - total)] + [(0, 0)] * (array.ndim - 1)
        padded = jnp.pad(array, padding)
        return padded.reshape(size, blocks, *array.shape[1:]).swapaxes(0, 1)

    def join(array: Array) -> Array:
        return array.swapaxes(0, 1).reshape(blocks * size, *array.shape[2:])[:total]

    carry, results = jax.lax.scan(function, carry, jax.tree.map(split, rows))
    return carry, jax.tree.map(join, results)
