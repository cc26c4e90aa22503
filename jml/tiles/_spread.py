"""A batch and class weights that are spread over mapped axes of devices.

The batch may be spread over some axes and the classes over others, or over the same
ones. Over axes of both, every device gets the items of all: it has other classes for
each. Over the rest an item stays where it is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from jml.pairwise import AxisName, gather, psum

T = TypeVar("T")


class Spread(NamedTuple):
    """The names of the mapped axes over which a loss is spread."""

    batch: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @classmethod
    def over(cls, axis_name: AxisName, class_axis_name: AxisName) -> "Spread":
        """From the arguments of a loss."""
        return cls(_names(axis_name), _names(class_axis_name))

    @property
    def both(self) -> AxisName:
        """Those over which batch and classes are spread: items are gathered there."""
        return tuple(a for a in self.classes if a in self.batch) or None

    @property
    def batch_alone(self) -> AxisName:
        """Those over which only items are spread, also while the loss is computed."""
        return tuple(a for a in self.batch if a not in self.classes) or None

    @property
    def classes_alone(self) -> AxisName:
        """Those over which only classes are spread."""
        return tuple(a for a in self.classes if a not in self.batch) or None

    @property
    def all(self) -> AxisName:
        """All of them."""
        return (*self.classes, *(self.batch_alone or ())) or None


def _names(axis_name: AxisName) -> tuple[str, ...]:
    if axis_name is None:
        return ()
    return axis_name if isinstance(axis_name, tuple) else (axis_name,)


def first_class(number: int, spread: Spread) -> Any:
    """The label of this device's first class, where each has this number of them."""
    if not spread.classes:
        return 0
    return jax.lax.axis_index(spread.classes) * number


def gather_items(tree: T, spread: Spread) -> T:
    """Arrays with an entry for each item of this device, for all items it computes."""
    return jax.tree.map(lambda array: gather(array, spread.both), tree)


def present_classes(
    labels: Integer[Array, " b"],
    num_classes: int,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> Bool[Array, " c"]:
    """Which classes of this device the batches of all devices have.

    Args:
        labels: those of this device's items.
        num_classes: the number of this device's classes.
        axis_name: of the mapped axis over which the batch is spread.
        class_axis_name: of the mapped axis over which classes are spread.
    """
    spread = Spread.over(axis_name, class_axis_name)
    labels = labels.astype(jnp.promote_types(labels.dtype, jnp.int32))  # holds places
    place = gather(labels, spread.both) - first_class(num_classes, spread)
    place = jnp.where(place < 0, num_classes, place)
    counts = jnp.zeros(num_classes, jnp.int32).at[place].add(1, mode="drop")
    return psum(counts, spread.batch_alone) > 0


def deal(assign: Callable[[Any, T], T], sums: Any, numbers: T, spread: Spread) -> T:
    """Numbers of this device's items, dealt out among the items of all devices."""
    axes = spread.batch_alone
    size = len(jax.tree.leaves(numbers)[0])
    given = jax.lax.stop_gradient((sums, numbers))
    dealt = assign(*jax.tree.map(lambda array: gather(array, axes), given))
    if axes is None:
        return dealt
    start = jax.lax.axis_index(axes) * size
    return jax.tree.map(lambda a: jax.lax.dynamic_slice_in_dim(a, start, size), dealt)


def own_items(number: int, spread: Spread) -> Any:
    """Where this device's items begin among those that it computes."""
    if spread.both is None:
        return 0
    return jax.lax.axis_index(spread.both) * number


def is_own(number: int, gathered: int, spread: Spread) -> Bool[Array, " b"]:
    """Which items are this device's, so that a sum over devices counts each once."""
    place = jnp.arange(gathered) - own_items(number, spread)
    return (place >= 0) & (place < number)


def of_own(tree: T, number: int, spread: Spread) -> T:
    """The entries of this device's items; the others have the same on their devices."""
    if spread.both is None:
        return tree
    start = own_items(number, spread)
    cut = lambda a: jax.lax.dynamic_slice_in_dim(a, start, number)  # noqa: E731
    return jax.tree.map(cut, tree)


def sum_over_classes(by_items: Float[Array, "b d"], spread: Spread) -> Array:
    """The gradient by this device's items, through the classes of all devices."""
    by_items = psum(by_items, spread.classes_alone)
    if spread.both is None:
        return by_items
    return jax.lax.psum_scatter(by_items, spread.both, tiled=True)
