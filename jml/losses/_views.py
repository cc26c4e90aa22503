"""Two views of the same items: what losses without a pair matrix are made of."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_array, check_kind, check_number
from jml._label_checks import check_where
from jml.distances import as_compute
from jml.pairwise import (
    AxisName,
    Hyperparameters,
    check_axis_name,
    on_auto_axes,
    prepare,
    psum,
)


class Views(NamedTuple):
    """Row i of `x` and row i of `y` are two views of item i."""

    x: Float[Array, "b d"]
    y: Float[Array, "b d"]
    valid: Bool[Array, " b"]  # rows that are not are 0
    axis_name: AxisName

    @property
    def number(self) -> Float[Array, ""]:
        """The number of valid items on all devices."""
        return self.sum(self.valid.astype(self.x.dtype))

    def sum(self, values: Float[Array, "b *s"]) -> Float[Array, "*s"]:
        """The sum over the items of all devices."""
        return psum(jnp.sum(values, axis=0), self.axis_name)

    def centred(self, x: Float[Array, "b d"]) -> Float[Array, "b d"]:
        """Columns of mean 0; those of constant columns are exactly 0.

        The mean alone would leave them at rounding noise. So each column's largest
        entry is subtracted first.
        """
        valid = self.valid[:, None]
        largest = jnp.max(x, axis=0, where=valid, initial=-jnp.inf)
        largest = jax.lax.stop_gradient(largest)
        if self.axis_name is not None:
            largest = jax.lax.pmax(largest, self.axis_name)
        largest = jnp.where(jnp.isneginf(largest), 0, largest)  # no valid item
        x = jnp.where(valid, x - largest[None, :], 0)
        mean = self.sum(x) / jnp.maximum(self.number, 1)
        return jnp.where(valid, x - mean[None, :], 0)


Formula = Callable[..., Float[Array, ""]]  # formula(views, **hyperparameters)


def view_loss(
    name: str,
    formula: Formula,
    x: Any,
    y: Any,
    hyperparameters: Mapping[str, Any],
    *,
    where: Any,
    axis_name: AxisName,
) -> Float[Array, ""]:
    """The loss of a formula of two views, compiled once for each shape.

    Args:
        name: the name of the loss, with which its errors begin.
        formula: a module-level function, ``formula(views, **hyperparameters)``.
        x: one view.
        y: the other.
        hyperparameters: numbers by name.
        where: False for items to leave out.
        axis_name: of the mapped axis over which the items are spread.

    Raises:
        ValueError: for a wrong shape or dtype.
    """
    x, y, where = check_views(name, x, y, where)
    numbers = {
        key: check_number(name, key, value) for key, value in hyperparameters.items()
    }
    check_axis_name(name, axis_name)
    return _view_loss(x, y, where, numbers, formula=formula, axis_name=axis_name)


def check_views(
    name: str, x: Any, y: Any, where: Any
) -> tuple[
    Float[Array | np.ndarray, "n d"],
    Float[Array | np.ndarray, "n d"],
    Bool[Array | np.ndarray, " n"] | None,
]:
    """Raises ValueError unless these are floats [B, D] twice and booleans [B].

    Returns:
        The arrays.
    """
    x = check_array(name, "x", x, shape="[B, D]", ndim=2)
    y = check_array(name, "y", y, shape="[B, D]", ndim=2)
    check_kind(name, "x", x, jnp.floating, "floating")
    check_kind(name, "y", y, jnp.floating, "floating")
    if x.shape != y.shape:
        raise ValueError(
            f"{name}: `y` must have shape {tuple(x.shape)}, as `x` has, got"
            f" {tuple(y.shape)}"
        )
    return x, y, check_where(name, "where", where, len(x))


@partial(jax.jit, static_argnames=("formula", "axis_name"))
def _view_loss(
    x: Float[Array, "b d"],
    y: Float[Array, "b d"],
    where: Bool[Array, " b"] | None,
    hyperparameters: Hyperparameters,
    *,
    formula: Formula,
    axis_name: AxisName,
) -> Float[Array, ""]:
    def loss(x, y, where, hyperparameters):
        x, valid = prepare(x, where)
        y, _ = prepare(y, where)
        dtype = jnp.promote_types(x.dtype, y.dtype)
        views = Views(x.astype(dtype), y.astype(dtype), valid, axis_name)
        numbers = {
            key: as_compute(jnp.asarray(value, dtype))
            for key, value in hyperparameters.items()
        }
        return formula(views, **numbers)

    return on_auto_axes(loss, x, y, where, hyperparameters)
