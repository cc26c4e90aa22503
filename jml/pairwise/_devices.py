"""Arrays whose types say how they are spread over devices (JAX's explicit mode)."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
from jax.sharding import AxisType, PartitionSpec, auto_axes, use_abstract_mesh

T = TypeVar("T")


def on_auto_axes(function: Callable[..., T], *arguments: Any) -> T:
    """Calls a function whose result no device has alone; the compiler spreads the rest.

    On axes of type Auto, and on one device, that is so anyway.
    """
    leaves = jax.tree.leaves(arguments)
    for mesh in (jax.typeof(leaf).sharding.mesh for leaf in leaves):
        if AxisType.Explicit in mesh.axis_types:
            with use_abstract_mesh(mesh):
                return auto_axes(function, out_sharding=PartitionSpec())(*arguments)
    return function(*arguments)
