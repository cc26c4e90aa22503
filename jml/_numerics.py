"""Arithmetic that stays finite, value and gradient, on empty sets and extremes."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

DType = Any  # what jnp.dtype takes, such as jnp.float32


def first_minimum(
    values: Float[Array, "b n"],
) -> tuple[Int[Array, " b"], Float[Array, " b"]]:
    """The column of each row's first minimum, and the minimum; NaN, if the row has one.

    These are two reductions of floats, which XLA vectorises, as it does not `argmin`.
    The columns are floats, too, where floats can count that far.
    """
    minimum = jnp.min(values, axis=1)
    last = values.shape[1] - 1
    dtype = values.dtype if last < 2 / jnp.finfo(values.dtype).eps else jnp.int32
    column = jnp.arange(last + 1, dtype=dtype)[None, :]
    reached = values == minimum[:, None]
    first = jnp.min(jnp.where(reached, column, last), axis=1)
    return first.astype(jnp.int32), minimum


def inverse(number: Float[Array, "*k"]) -> Float[Array, "*k"]:
    """1 over it, and 0 for 0."""
    return jnp.where(number > 0, 1 / jnp.where(number > 0, number, 1), 0)


def sine_of(cosine: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The sine of an angle from 0 to pi; 0 where roundings alone may make it."""
    square = 1 - cosine * cosine
    clear = square > 16 * jnp.finfo(cosine.dtype).eps
    return jnp.where(clear, jnp.sqrt(jnp.where(clear, square, 1)), 0)


def widen(x: Shaped[Array, "*s"]) -> Float[Array, "*s"]:
    """Casts to float32 at least.

    The gradient is cast back. Where it is beyond float16's range it becomes float16's
    largest number instead of infinity.
    """
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    if not floating or jnp.finfo(x.dtype).bits >= 32:
        return x if floating else x.astype(jnp.float32)
    # This solves 1 y = x for y, which compiles to nothing. It is a linear solve because
    # of all that JAX can map over and differentiate in both modes, only that takes a
    # transpose that one writes oneself: here it keeps the gradient within range.
    return jax.lax.custom_linear_solve(
        lambda y: y,
        x.astype(jnp.float32),
        lambda _, y: y,
        lambda _, gradient: _saturate(gradient, x.dtype),
    )


def saturating_cast(x: Float[Array, "*s"], dtype: DType) -> Float[Array, "*s"]:
    """Casts; a finite number beyond the range of `dtype` becomes its largest."""
    return _saturate(x, dtype).astype(dtype)


def _saturate(x: Float[Array, "*s"], dtype: DType) -> Float[Array, "*s"]:
    largest = float(jnp.finfo(dtype).max)
    if float(jnp.finfo(x.dtype).max) <= largest:
        return x
    return jnp.where(jnp.isinf(x), x, jnp.clip(x, -largest, largest))
