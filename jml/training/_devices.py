"""Data parallelism: which devices share a batch, and how arrays lie on them.

A step is written for the whole batch, and JAX divides it among the devices. So the loss
is over all pairs of the batch, and BatchNorm normalises over all of it, however many
devices there are.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from jml._value_checks import check_integer, check_type

AXIS = "data"


def data_mesh(
    # The name is declared as a variable.
    devices: Sequence[jax.Device] | None = None,  # pyright: ignore[reportInvalidTypeForm]
) -> Mesh:
    """Returns a mesh whose devices share each batch.

    Args:
        devices: by default all devices of all processes.

    >>> data_mesh(jax.local_devices()[:1]).size
    1
    """
    # In JAX's order, by process: `local_rows` relies on it.
    listed = jax.devices() if devices is None else devices
    kinds = (list, tuple, np.ndarray)
    words = "devices, as jax.devices() gives, at least one"
    check_type("data_mesh", "devices", listed, kinds, words)
    if not len(listed) or not all(isinstance(x, jax.Device) for x in listed):
        raise ValueError(f"data_mesh: `devices` must be {words}, got {listed!r}")
    return Mesh(np.array(listed), AXIS)


def replicated_sharding(mesh: Mesh) -> NamedSharding:
    """Returns the sharding of an array that lies whole on every device."""
    return whole_on("replicated_sharding", mesh)


def whole_on(name: str, mesh: Mesh) -> NamedSharding:
    """`replicated_sharding` for the public function `name`, which errors name."""
    check_mesh(name, mesh)
    return NamedSharding(mesh, PartitionSpec())


def check_mesh(name: str, mesh: Mesh | None) -> None:
    """Raises ValueError unless `mesh` is one of devices."""
    check_type(name, "mesh", mesh, (Mesh, AbstractMesh), "a mesh from `data_mesh`")


def batch_sharding(mesh: Mesh, axis: int = 0) -> NamedSharding:
    """Returns the sharding of an array in equal parts along `axis`, one a device."""
    check_mesh("batch_sharding", mesh)
    check_integer("batch_sharding", "axis", axis)
    return NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))


def replicate(mesh: Mesh, tree: PyTree) -> PyTree:
    """Puts a copy of each array on every device.

    With several processes, all must pass the same values.
    """
    whole = whole_on("replicate", mesh)

    def place(array: Array | np.ndarray) -> Array:
        if getattr(array, "sharding", None) == whole:
            return array  # pyright: ignore[reportReturnType]  # only JAX's have one
        if whole.is_fully_addressable:
            return jax.device_put(array, whole)
        # From the host: an array on one process's device cannot move to another's.
        return jax.make_array_from_process_local_data(whole, np.asarray(array))

    return jax.tree.map(place, tree)


def shardings_of(mesh: Mesh, tree: PyTree) -> PyTree:
    """Returns the sharding of each array on a mesh, for ``make_step(shardings=)``.

    An array that is on the devices of this mesh already stays as it lies: in equal
    parts, for example. Every other array is to lie whole on every device.
    """
    whole = whole_on("shardings_of", mesh)

    def sharding_of(array: Any) -> Any:
        sharding = getattr(array, "sharding", None)
        there = isinstance(sharding, NamedSharding) and sharding.mesh == mesh
        return sharding if there else whole

    return jax.tree.map(sharding_of, tree)


def replicate_rest(mesh: Mesh, tree: PyTree) -> PyTree:
    """Puts a copy of each array on every device, unless it is on the mesh already.

    It is `replicate` for a state of which some arrays lie in equal parts.
    """
    whole = whole_on("replicate_rest", mesh)
    return jax.tree.map(
        lambda array, sharding: replicate(mesh, array) if sharding == whole else array,
        tree,
        shardings_of(mesh, tree),
    )


def split_batch(mesh: Mesh, batch: PyTree) -> PyTree:
    """Puts equal parts of the rows of each array on the devices, in order.

    With several processes, each passes its `local_rows` and gets the arrays of the
    whole batch.
    """
    check_mesh("split_batch", mesh)
    by_rows = batch_sharding(mesh)

    def place(array: Array | np.ndarray) -> Array:
        is_placed = getattr(array, "sharding", None) == by_rows
        if by_rows.is_fully_addressable or is_placed:
            return jax.device_put(array, by_rows)
        return jax.make_array_from_process_local_data(by_rows, np.asarray(array))

    return jax.tree.map(place, batch)


def local_rows(size: int) -> slice:
    """Returns the rows of a batch of `size` that this process provides.

    >>> local_rows(32)  # of a single process
    slice(0, 32, None)
    """
    check_integer("local_rows", "size", size)
    share = size // jax.process_count()
    return slice(jax.process_index() * share, (jax.process_index() + 1) * share)


def any_process(mesh: Mesh | None, flag: bool) -> bool | Array:
    """Returns whether any process passes True.

    With several processes the result is an array that the devices compute in turn with
    the steps: nothing waits for it until it is read.
    """
    if mesh is None or jax.process_count() == 1:
        return flag
    flags = split_batch(mesh, np.full(len(mesh.local_devices), flag))
    return _any_on(mesh)(flags)


@lru_cache
def _any_on(mesh: Mesh) -> Callable[[Array], Array]:
    return jax.jit(jnp.any, out_shardings=replicated_sharding(mesh))
