"""Arithmetic that stays finite, value and gradient, on empty sets and extremes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def masked_logsumexp(
    values: Float[Array, "b n"], mask: Bool[Array, "b n"]
) -> Float[Array, " b"]:
    """Each row's ``log sum exp`` over the entries in `mask`; -inf without any."""
    values = jnp.where(mask, values, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.max(values, axis=1, initial=-jnp.inf))
    largest = jnp.where(jnp.isneginf(largest), 0, largest)
    total = jnp.sum(jnp.exp(values - largest[:, None]), axis=1)
    none = total == 0
    return jnp.where(none, -jnp.inf, jnp.log(jnp.where(none, 1, total)) + largest)


def widen(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Casts to float32 at least, and the gradient back without overflow.

    A gradient beyond float16's range becomes its largest number instead of infinity.
    """
    floating = jnp.issubdtype(x.dtype, jnp.floating)
    if not floating or jnp.finfo(x.dtype).bits >= 32:
        return x if floating else x.astype(jnp.float32)
    # The solution y of 1 y = x: among what JAX maps over and differentiates both ways,
    # solving alone takes a transpose that one writes oneself. It compiles to nothing.
    return jax.lax.custom_linear_solve(
        lambda y: y,
        x.astype(jnp.float32),
        lambda _, y: y,
        lambda _, gradient: _saturate(gradient, x.dtype),
    )


def saturating_cast(x: Float[Array, "*s"], dtype: jnp.dtype) -> Float[Array, "*s"]:
    """Casts, and keeps finite what is: too large a number becomes the largest."""
    return _saturate(x, dtype).astype(dtype)


def _saturate(x: Float[Array, "*s"], dtype: jnp.dtype) -> Float[Array, "*s"]:
    largest = float(jnp.finfo(dtype).max)
    if float(jnp.finfo(x.dtype).max) <= largest:
        return x
    return jnp.where(jnp.isinf(x), x, jnp.clip(x, -largest, largest))
