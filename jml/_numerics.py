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


def saturating_cast(x: Float[Array, "*s"], dtype: jnp.dtype) -> Float[Array, "*s"]:
    """Casts, and keeps finite what is: too large a number becomes the largest."""
    largest = float(jnp.finfo(dtype).max)
    if float(jnp.finfo(x.dtype).max) > largest:
        x = jnp.where(jnp.isinf(x), x, jnp.clip(x, -largest, largest))
    return x.astype(dtype)
