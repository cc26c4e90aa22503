"""Histograms that pass a gradient: a value counts in the two nodes beside it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Nodes = Float[Array, "b nodes"]


def soft_histograms(
    values: Float[Array, "b n"],
    positive: Bool[Array, "b n"],
    negative: Bool[Array, "b n"],
    *,
    low: float,
    high: float,
    bins: int,
    size: Float[Array, "1 n"] | None = None,
) -> tuple[Nodes, Nodes]:
    """Each row's histogram of its positives, and that of its negatives.

    The `bins + 1` nodes lie evenly from `low` to `high`. A value adds 1 in all, to the
    nodes below and above it, to each the more the nearer that is. A value that lies
    beyond the ends, by rounding, counts at the end and passes no gradient.

    Args:
        values: of each pair.
        positive: which pairs the first histogram counts.
        negative: which the second counts; none of them is positive.
        low: the first node.
        high: the last one.
        bins: the number of steps between nodes.
        size: how much a value in each column counts; None: 1.
    """
    place = (values - low) * (bins / (high - low))
    fixed = jax.lax.stop_gradient(place)
    below = jnp.clip(jnp.floor(fixed), 0, bins - 1)
    inside = (fixed >= 0) & (fixed <= bins)
    part = jnp.where(inside, place - below, jnp.clip(fixed - below, 0, 1))
    counted = positive | negative
    slot = below.astype(jnp.int32) + jnp.where(negative, bins, 0)
    part = jnp.where(counted, part, 0)
    ones = counted.astype(values.dtype)
    if size is not None:
        part, ones = size * part, size * ones
    # How many values lie in each bin of the two, and their parts towards its upper end.
    total, upper = (_add_up(slot, array, 2 * bins) for array in (ones, part))
    nodes = [
        jnp.pad((total - upper)[:, chosen], ((0, 0), (0, 1)))
        + jnp.pad(upper[:, chosen], ((0, 0), (1, 0)))
        for chosen in (slice(bins), slice(bins, None))
    ]
    return nodes[0], nodes[1]


def _add_up(
    slot: Int[Array, "b n"], values: Float[Array, "b n"], slots: int
) -> Float[Array, "b slots"]:
    """Each row's sums of the values in each slot; the gradient of it gathers."""

    def of_row(slot, values):
        return jnp.zeros(slots, values.dtype).at[slot].add(values)

    return jax.vmap(of_row)(slot, values)
