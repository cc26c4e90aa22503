"""From a formula to the gradient by each distance, and on to that by each embedding."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jml._gram_distances import inner_products

from ._blocks import on_cpu
from ._devices import pvary_like
from ._references import References
from ._rows import Rows

Hyperparameters = dict[str, Any]  # float arrays that a formula takes by name
Terms = Callable[..., tuple[Array, Array]]  # terms(rows, **hyperparameters)


def linearize(
    terms: Terms, rows: Rows, hyperparameters: Hyperparameters, anchors: References
) -> tuple[
    Float[Array, " b"], Float[Array, " b"], Float[Array, "b n"], Hyperparameters
]:
    """Each row's total and count, and the gradient of the sum of the totals.

    The gradient is that by each squared distance and by each hyperparameter.
    """
    total, back, number = jax.vjp(
        lambda squared, hyperparameters: terms(
            rows._replace(squared=squared), **hyperparameters
        ),
        rows.squared,
        hyperparameters,
        has_aux=True,
    )
    ones = pvary_like(anchors, jnp.ones_like(total))
    pair_gradients, by_hyperparameters = back(ones)
    # A distance of 0 has no direction in which it grows.
    pair_gradients = jnp.where(rows.squared > 0, pair_gradients, 0)
    return total, number, pair_gradients, by_hyperparameters


def transposed_product(
    pair_gradients: Float[Array, "b n"], x: Float[Array, "b d"]
) -> Float[Array, "n d"]:
    """``pair_gradients.T @ x``.

    XLA's CPU backend multiplies by a transposed matrix at half the speed. There the
    embeddings are transposed instead, which are smaller. The barriers keep XLA from
    undoing that.
    """
    if not on_cpu():
        return inner_products(pair_gradients.T, x.T)
    barrier = jax.lax.optimization_barrier
    return barrier(inner_products(barrier(x.T), pair_gradients.T)).T


def by_one_end(
    x: Float[Array, "n d"], sums: Float[Array, " n"], products: Float[Array, "n d"]
) -> Float[Array, "n d"]:
    """The gradient by the embeddings at one end of all pairs.

    Args:
        x: these embeddings.
        sums: of the pair gradients of each.
        products: of the pair gradients with the embeddings at the other end.
    """
    return 2 * (sums[:, None] * x - products)
