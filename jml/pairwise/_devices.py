"""A batch that is spread over devices, in each of the ways that JAX has.

Inside `jax.shard_map` every device calls the loss on its local part of the batch, and
`axis_name` says which devices belong together: `psum`, `gather` and `local_gradient`
communicate between them. Under plain `jit` the compiler spreads the work.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax.sharding import (
    AxisType,
    PartitionSpec,
    auto_axes,
    get_abstract_mesh,
    use_abstract_mesh,
)
from jaxtyping import Array, Float, Shaped

AxisName = str | tuple[str, ...] | None
T = TypeVar("T")


def check_axis_name(name: str, axis_name: Any, argument: str = "axis_name") -> None:
    """Raises ValueError unless it is None or an axis of the surrounding shard_map."""
    if axis_name is not None and not _is_mapped(axis_name):
        raise ValueError(
            f"{name}: `{argument}` must be an axis of the jax.shard_map that this is "
            f"called in, got {axis_name!r}"
        )


def _is_mapped(axis_name: Any) -> bool:
    names = axis_name if isinstance(axis_name, tuple) else (axis_name,)
    if not names or not all(isinstance(name, str) for name in names):
        return False
    try:
        return bool(jax.lax.axis_size(axis_name))
    except NameError:
        return False


def count_devices(axis_name: AxisName) -> int:
    """How many devices the mapped axis has; without one, 1."""
    return 1 if axis_name is None else jax.lax.axis_size(axis_name)


def psum(tree: T, axis_name: AxisName) -> T:
    """The sum over the devices of the mapped axis; without one, the tree itself."""
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def gather(array: Shaped[Array, "b *s"], axis_name: AxisName) -> Shaped[Array, "n *s"]:
    """The arrays of all devices of the mapped axis, one after the other."""
    if axis_name is None:
        return array
    return jax.lax.all_gather(array, axis_name, tiled=True)


def local_gradient(
    gradient: Float[Array, "m d"], size: int, axis_name: AxisName
) -> Float[Array, "b d"]:
    """The gradient by this device's part of the batch, summed over the devices.

    Args:
        gradient: this device's contribution to the gradient by each reference.
        size: the number of anchors on this device.
        axis_name: of the mapped axis.
    """
    if axis_name is None:
        return gradient[:size]
    of_batch = gradient[: size * count_devices(axis_name)]
    return jax.lax.psum_scatter(of_batch, axis_name, tiled=True)


def pvary_like(example: Any, tree: T) -> T:
    """Marks arrays as varying over the same mapped axes as the arrays of `example`.

    Inside `jax.shard_map` JAX tracks which values differ between devices. The gradient
    by a value that does not differ would be summed over the devices at once, and a loop
    cannot start from such a value and continue with one that differs. `jax.lax.pcast`
    marks a value, but it needs the names of the axes, of which `axis_name` may be only
    some. So this adds a zero that is computed from `example`: JAX then takes the sum as
    varying wherever `example` varies. The zero is a comparison ``& False``, which not
    even a NaN makes true, and XLA removes all of it.
    """
    never = [jnp.any(leaf != leaf) & False for leaf in jax.tree.leaves(example)]
    zero = reduce(jnp.logical_or, never)
    return jax.tree.map(lambda leaf: leaf + zero.astype(leaf.dtype), tree)


def on_auto_axes(function: Callable[..., T], *arguments: Any) -> T:
    """Calls a function and lets the compiler decide how to spread the work.

    In JAX's explicit mode the type of an array says how it is spread over devices, and
    each operation would have to say so of its result. Inside this call no operation
    has to. The results are on every device in full.
    """
    leaves = jax.tree.leaves(arguments)
    for mesh in (jax.typeof(leaf).sharding.mesh for leaf in leaves):
        if AxisType.Explicit in mesh.axis_types:
            on_auto: Any = auto_axes(function, out_sharding=PartitionSpec())
            with use_abstract_mesh(mesh):
                return on_auto(*arguments)
    # JAX has set the mesh, if there is none an empty one, wherever it differentiates a
    # program. Set here, too, what is traced here is found there and not traced again.
    with use_abstract_mesh(get_abstract_mesh()):
        return function(*arguments)
