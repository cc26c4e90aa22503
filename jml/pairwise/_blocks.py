"""How many rows of the pair matrix exist at a time, and loops over such blocks."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._devices import AxisName

Carry = TypeVar("Carry")
T = TypeVar("T")


class Plan(NamedTuple):
    """How rows are made and summed: how many at a time, and over which mapped axis."""

    block_size: int | None = None  # None: chosen by the size of the matrix
    axis_name: AxisName = None
    measure: str = "squared"  # or "product": what `Rows` hold
    miner: Callable[[Any], Any] | None = None  # of `Rows`: those with the pairs to keep


def split_rows(rows: int, columns: int, plan: Plan) -> dict[str, int]:
    """The number of blocks and the rows in each, for `scan_blocks`.

    By default a block stays in the cache of a CPU, and elsewhere fills the device.
    """
    entries = 2**20 if on_cpu() else 2**26
    size = plan.block_size or max(64, entries // max(1, columns))
    blocks = max(1, -(-rows // size))
    return {"blocks": blocks, "size": -(-rows // blocks)}


def on_cpu() -> bool:
    """Whether JAX's default device is a CPU.

    That is the one of `jax.default_device`, which may also be the name of a platform.
    Where none is set, it is a device of the default backend.
    """
    # JAX adds its options to the class at run time.
    device = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    if device is None:
        return jax.default_backend() == "cpu"
    return getattr(device, "platform", device) == "cpu"


def scan_blocks(
    function: Callable[[Carry, T], tuple[Carry, Any]],
    carry: Carry,
    rows: T,
    *,
    blocks: int,
    size: int,
) -> tuple[Carry, Any]:
    """`jax.lax.scan` over blocks of rows instead of single rows.

    Args:
        function: takes the carry and a block of rows, and returns the next carry and
            arrays with one entry for each row of the block.
        carry: the first carry.
        rows: a tree of arrays with one entry for each row.
        blocks: the number of blocks.
        size: the rows in each. Rows that are missing from the last block are made up of
            zeros and False, so that an anchor among them is not valid.

    Returns:
        The last carry, and arrays with one entry for each row.
    """
    if blocks == 1:
        return function(carry, rows)
    total = len(jax.tree.leaves(rows)[0])

    # A block takes every `blocks`-th row. Where the compiler has spread the rows over
    # devices, each device then holds an equal part of every block.
    def split(array: Array) -> Array:
        padding = [(0, blocks * size - total)] + [(0, 0)] * (array.ndim - 1)
        padded = jnp.pad(array, padding)
        return padded.reshape(size, blocks, *array.shape[1:]).swapaxes(0, 1)

    def join(array: Array) -> Array:
        return array.swapaxes(0, 1).reshape(blocks * size, *array.shape[2:])[:total]

    carry, results = jax.lax.scan(function, carry, jax.tree.map(split, rows))
    return carry, jax.tree.map(join, results)


def run_if(
    condition: Bool[Array, ""],
    function: Callable[[Array], T],
    x: Float[Array, "*s"],
    otherwise: T,
) -> T:
    """``function(x) if condition else otherwise``, on all cores of a CPU.

    XLA runs the branches of `jax.lax.cond` on one core of a CPU, but the body of a loop
    on all of them. So this is a loop of one turn or none. The number of the turn, 0, is
    added to `x`, because XLA would compute before the loop what does not depend on it.
    """
    return jax.lax.fori_loop(
        0,
        condition.astype(jnp.int32),
        lambda turn, _: function(x + turn.astype(x.dtype)),
        otherwise,
    )
