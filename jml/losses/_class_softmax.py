"""The softmax over classes, which several losses share: sums, margins, smoothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jml._checks import as_array, is_real, known_array
from jml._numerics import sine_of
from jml.pairwise import Scalar
from jml.tiles import Formula, Statistics, Tile

ALMOST_PI = np.pi + 1e-3  # pi, rounded

# A number, or one for each item.
Each = Scalar | Float[Array | np.ndarray, " b"]


def radians(name: str, argument: str, angle: Any) -> Any:
    """Raises ValueError for an angle that is known to be more than half a turn.

    It would be one in degrees: beyond pi a margin may ask for nothing.

    Returns:
        The angle.
    """
    value = as_array(angle)
    real = isinstance(value, int | float | np.ndarray | np.generic | jax.Array)
    known = known_array(value) if real else None
    if known is None or not is_real(known.dtype) or not np.any(known > ALMOST_PI):
        return angle
    raise ValueError(
        f"{name}: `{argument}` is an angle in radians, at most pi, got"
        f" {np.max(known):g}; pass jnp.radians(...) of one in degrees"
    )


def smoothing(label_smoothing: Any) -> dict[str, Any]:
    """The number for a formula; none without smoothing, so that nothing is summed."""
    if isinstance(label_smoothing, int | float) and label_smoothing == 0:
        return {}
    return {"label_smoothing": label_smoothing}


def nearest(values: tuple[Float[Array, "b t"], ...]) -> Float[Array, "b t"]:
    """The similarity of each class's nearest center."""
    best = values[0]
    for value in values[1:]:
        best = jnp.maximum(best, value)
    return best


def softmax_entries(
    values: Float[Array, "b t"],
    tile: Tile,
    scale: Float[Array, ""],
    label_smoothing: Float[Array, ""] | None,
) -> Statistics:
    """The own class's value, and the log-sum of the others', times a scale."""
    sums = {
        "own": jnp.where(tile.own, values, 0),
        "has_own": tile.own.astype(values.dtype),
    }
    if label_smoothing is not None:
        sums["others"] = jnp.where(tile.other, values, 0)
        sums["number"] = tile.other.astype(values.dtype)
    return Statistics({"others": jnp.where(tile.other, scale * values, -jnp.inf)}, sums)


def elements(
    tile: Tile,
    *,
    scale: Float[Array, ""],
    label_smoothing: Float[Array, ""] | None = None,
) -> Statistics:
    """Those of a softmax, of the nearest center of each class."""
    return softmax_entries(nearest(tile.values), tile, scale, label_smoothing)


def finish(
    sums: Statistics,
    *,
    scale: Float[Array, ""],
    angular: Float[Array, " b"],
    additive: Float[Array, " b"],
    label_smoothing: Float[Array, ""] | None = None,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's cross entropy, and 1 for an item whose class is there."""
    own = turned(sums.sums["own"], angular) - additive
    return cross_entropy(sums, own, scale, label_smoothing)


def cross_entropy(
    sums: Statistics,
    own: Float[Array, " b"],
    scale: Float[Array, ""],
    label_smoothing: Float[Array, ""] | None,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Of the own class, with its margin, and the others; and 1 for a valid item.

    An item without an own class has 0, and so has one without another class.
    """
    has_own = sums.sums["has_own"] > 0
    others = sums.logs["others"]
    some = has_own & (others != -jnp.inf)
    gap = jnp.where(some, others, 0) - jnp.where(some, scale * own, 0)
    total = jnp.logaddexp(0, gap)
    if label_smoothing is not None:
        mean = (own + sums.sums["others"]) / (1 + sums.sums["number"])
        total += label_smoothing * scale * (own - mean)
    return jnp.where(some, total, 0), has_own.astype(total.dtype)


def turned(cosine: Float[Array, " b"], angle: Float[Array, " b"]) -> Float[Array, " b"]:
    """The cosine of the angle that an item has, plus another.

    Beyond pi the cosine would rise again. There it goes on as a straight line of the
    cosine, which falls: as in the authors' code.
    """
    within = cosine * jnp.cos(angle) - sine_of(cosine) * jnp.sin(angle)
    beyond = cosine - angle * jnp.sin(angle)
    return jnp.where(cosine > -jnp.cos(angle), within, beyond)


def turned_within(
    cosine: Float[Array, " b"], angle: Float[Array, " b"]
) -> Float[Array, " b"]:
    """The same, with an angle that may be below 0; it is cut to 0 and pi in all."""
    within = cosine * jnp.cos(angle) - sine_of(cosine) * jnp.sin(angle)
    beyond = (angle > 0) & (cosine < -jnp.cos(angle))
    before = (angle < 0) & (cosine > jnp.cos(angle))
    return jnp.where(beyond, -1, jnp.where(before, 1, within))


SOFTMAX = Formula(elements, finish)
