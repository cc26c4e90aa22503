"""Data parallelism: which devices share a batch, and how arrays lie on them.

The program is written for the whole batch; JAX divides it. So the loss is over all
pairs of the batch and BatchNorm normalises over all of it, on however many devices.
"""

import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

try:
    import resource
except ImportError:  # Windows
    resource = None

AXIS = "data"


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh whose devices share each batch: by default all, of all processes."""
    # In this order: a process has the rows of the batch that its number says.
    return Mesh(np.array(jax.devices() if devices is None else devices), AXIS)


def replicated(mesh: Mesh) -> NamedSharding:
    """All of an array on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """An array in equal parts along one axis, one for each device."""
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))


def replicate(mesh: Mesh, tree: Any) -> Any:
    """Puts a copy of each array, the same in all processes, on every device."""
    whole = replicated(mesh)

    def place(array: Any) -> Array:
        if getattr(array, "sharding", None) == whole:
            return array
        if whole.is_fully_addressable:
            return jax.device_put(array, whole)
        # From the host: what lies on one device of one process belongs to no other.
        return jax.make_array_from_process_local_data(whole, np.asarray(array))

    return jax.tree.map(place, tree)


def split_batch(mesh: Mesh, batch: Any) -> Any:
    """Puts each device's rows of the arrays of a batch on it.

    Every process passes its own rows, in the order of the processes, and gets the
    batch of all of them.
    """
    rows = split(mesh)

    def place(array: Any) -> Array:
        if rows.is_fully_addressable or getattr(array, "sharding", None) == rows:
            return jax.device_put(array, rows)
        return jax.make_array_from_process_local_data(rows, np.asarray(array))

    return jax.tree.map(place, batch)


def own_rows(size: int) -> slice:
    """The rows of a batch that this process provides."""
    share = size // jax.process_count()
    return slice(jax.process_index() * share, (jax.process_index() + 1) * share)


def any_process(mesh: Mesh | None, flag: bool) -> bool | Array:
    """Whether any process passes True: known to all once the devices get there."""
    if mesh is None or jax.process_count() == 1:
        return flag
    flags = split_batch(mesh, np.full(len(mesh.local_devices), flag))
    return _any_on(mesh)(flags)


@lru_cache
def _any_on(mesh: Mesh) -> Callable[[Array], Array]:
    return jax.jit(jnp.any, out_shardings=replicated(mesh))


def peak_memory() -> int:
    """The most bytes in use so far: of a device that counts them, else of the process.

    Windows counts neither: 0.
    """
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"]
    if resource is None:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
