"""The softmax of cosines to class weights, with a margin at an item's own class."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from jml.tiles import Formula, Statistics, Tile


def nearest(values: tuple[Float[Array, "b t"], ...]) -> Float[Array, "b t"]:
    """The similarity of each class's nearest center."""
    best = values[0]
    for value in values[1:]:
        best = jnp.maximum(best, value)
    return best


def elements(tile: Tile, *, scale: Float[Array, ""], **_: Array) -> Statistics:
    """The cosine of the own class, and the log-sum of the others."""
    cosine = nearest(tile.values)
    return Statistics(
        {"others": jnp.where(tile.other, scale * cosine, -jnp.inf)},
        {
            "own": jnp.where(tile.own, cosine, 0),
            "has_own": tile.own.astype(cosine.dtype),
        },
    )


def finish(
    sums: Statistics,
    *,
    scale: Float[Array, ""],
    angular: Float[Array, " b"],
    additive: Float[Array, " b"],
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's cross entropy, and 1 for an item whose class is there."""
    has_own = sums.sums["has_own"] > 0
    cosine = jnp.where(has_own, sums.sums["own"], 0)
    own = scale * (turned(cosine, angular) - additive)
    others = sums.logs["others"]
    some = has_own & (others != -jnp.inf)
    gap = jnp.where(some, others, 0) - jnp.where(some, own, 0)
    total = jnp.where(some, jnp.logaddexp(0, gap), 0)
    return total, has_own.astype(total.dtype)


def turned(cosine: Float[Array, " b"], angle: Float[Array, " b"]) -> Float[Array, " b"]:
    """The cosine of the angle that an item has, plus another.

    Beyond pi the cosine would rise again. There it goes on as a straight line of the
    cosine, which falls: as in the authors' code.
    """
    floor = 16 * jnp.finfo(cosine.dtype).eps
    sine = jnp.sqrt(jnp.maximum(1 - cosine * cosine, floor))
    within = cosine * jnp.cos(angle) - sine * jnp.sin(angle)
    beyond = cosine - angle * jnp.sin(angle)
    return jnp.where(cosine > -jnp.cos(angle), within, beyond)


FORMULA = Formula(elements, finish)
