"""Histograms that pass a gradient: a value counts in the two nodes beside it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml._gram_distances import inner_products

Nodes = Float[Array, "tables nodes"]


class Bins(NamedTuple):
    """The steps between nodes that lie evenly from `low` to `high`."""

    low: float
    high: float
    number: int


def soft_histograms(
    values: Float[Array, "b n"],
    positive: Bool[Array, "b n"],
    negative: Bool[Array, "b n"],
    bins: Bins,
    *,
    table: Int[Array, "#b #n"],
    tables: int,
    size: Float[Array, "1 n"] | None = None,
) -> tuple[Nodes, Nodes]:
    """Histograms of positives and histograms of negatives, each in several tables.

    A value adds 1 in all, to the nodes below and above it, to each the more the nearer
    that is. A value that lies beyond the ends, by rounding, counts at the end and
    passes no gradient.

    Args:
        values: of each pair.
        positive: which pairs the first histograms count.
        negative: which the second count; none of them is positive.
        bins: the steps between nodes.
        table: where each value is counted.
        tables: the number of tables.
        size: how much a value in each column counts; None: 1.
    """
    number = bins.number
    place = (values - bins.low) * (number / (bins.high - bins.low))
    fixed = jax.lax.stop_gradient(place)
    below = jnp.clip(jnp.floor(fixed), 0, number - 1)
    inside = (fixed >= 0) & (fixed <= number)
    part = jnp.where(inside, place - below, jnp.clip(fixed - below, 0, 1))
    counted = positive | negative
    part = jnp.where(counted, part, 0)
    ones = counted.astype(values.dtype)
    if size is not None:
        part, ones = size * part, size * ones
    slot = jnp.clip(below.astype(jnp.int32), 0, number - 1)  # also of a NaN
    slot += jnp.where(negative, number, 0)
    # One flat array: its indices are as large as the rows, pairs of them would not be.
    slot = (slot + 2 * number * table.astype(jnp.int32)).ravel()
    # What lies in each bin of the two, and the parts of that towards the upper ends.
    total, upper = (
        jnp.zeros(tables * 2 * number, values.dtype)
        .at[slot]
        .add(array.ravel(), mode="promise_in_bounds")
        .reshape(tables * 2, number)
        for array in (ones, part)
    )
    # Products, because XLA would take sums anew for each value that reads them.
    lower_ends, upper_ends = (
        jnp.eye(number, number + 1, k, values.dtype) for k in (0, 1)
    )
    ends = jnp.concatenate([lower_ends, upper_ends - lower_ends])
    nodes = inner_products(jnp.concatenate([total, upper], axis=1), ends.T)
    nodes = nodes.reshape(tables, 2, number + 1)
    return nodes[:, 0], nodes[:, 1]
