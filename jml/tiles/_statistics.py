"""What a loss needs of each row of the matrix of items and classes: sums over it."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jml.pairwise import AxisName, psum


class Statistics(NamedTuple):
    """Sums over rows, by name: the entries [b, t] of a tile, or what they add up to."""

    # Exponents, of which the logarithm of the sum of exponentials is taken: -inf where
    # there is nothing to add. And numbers, which are added up.
    logs: Mapping[str, Float[Array, "b ..."]]
    sums: Mapping[str, Float[Array, "b ..."]]


def sum_entries(entries: Statistics) -> Statistics:
    """The sums over the classes of one tile."""
    return Statistics(
        jax.tree.map(_log_sum, entries.logs),
        jax.tree.map(lambda numbers: jnp.sum(numbers, axis=1), entries.sums),
    )


def _log_sum(exponents: Float[Array, "b t"]) -> Float[Array, " b"]:
    largest, exponentials = _exponentials(exponents)
    return _log(jnp.sum(exponentials, axis=1)) + largest


def _exponentials(
    exponents: Float[Array, "b t"],
) -> tuple[Float[Array, " b"], Float[Array, "b t"]]:
    """The largest exponent of each row, and the exponentials without it."""
    largest = _finite(jnp.max(exponents, axis=1, initial=-jnp.inf))
    return largest, jnp.exp(exponents - largest[:, None])


def _finite(largest: Float[Array, " b"]) -> Float[Array, " b"]:
    """What to take off exponents: no gradient, and 0 where all of them are -inf."""
    largest = jax.lax.stop_gradient(largest)
    return jnp.where(jnp.isneginf(largest), 0, largest)


def _log(total: Float[Array, " b"]) -> Float[Array, " b"]:
    """-inf of 0, with gradient 0."""
    none = total == 0
    return jnp.where(none, -jnp.inf, jnp.log(jnp.where(none, 1, total)))


def nothing(shapes: Statistics) -> Statistics:
    """The sums over no class."""
    return Statistics(
        jax.tree.map(lambda s: jnp.full(s.shape, -jnp.inf, s.dtype), shapes.logs),
        jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes.sums),
    )


def add(one: Statistics, other: Statistics) -> Statistics:
    """The sums over the classes of both."""

    def add_logs(a: Float[Array, " b"], b: Float[Array, " b"]) -> Float[Array, " b"]:
        largest = _finite(jnp.maximum(a, b))
        return _log(jnp.exp(a - largest) + jnp.exp(b - largest)) + largest

    return Statistics(
        jax.tree.map(add_logs, one.logs, other.logs),
        jax.tree.map(jnp.add, one.sums, other.sums),
    )


def add_devices(found: Statistics, axis_name: AxisName) -> Statistics:
    """The sums over the classes of all devices."""
    if axis_name is None:
        return found

    def add_logs(a: Float[Array, " b"]) -> Float[Array, " b"]:
        largest = _finite(jax.lax.pmax(jax.lax.stop_gradient(a), axis_name))
        return _log(psum(jnp.exp(a - largest), axis_name)) + largest

    return Statistics(jax.tree.map(add_logs, found.logs), psum(found.sums, axis_name))


def slopes_of_entries(
    entries: Statistics, sums: Statistics, slopes: Statistics
) -> Statistics:
    """How the loss changes with each entry, from how it changes with the sums.

    An entry's share of a log-sum is at most 1, also where roundings differ.
    """

    def share(z, log_sum, slope):
        # With one tile these are the exponentials of the first pass, made once.
        largest, exponentials = _exponentials(z)
        none = jnp.isneginf(log_sum)
        log_share = jnp.where(none, -jnp.inf, largest - jnp.where(none, 0, log_sum))
        excess = jax.lax.stop_gradient(jnp.maximum(log_share, 0))
        return (slope * jnp.exp(log_share - excess))[:, None] * exponentials

    def spread(numbers, slope):
        return slope[:, None] + jnp.zeros_like(numbers)

    return Statistics(
        jax.tree.map(share, entries.logs, sums.logs, slopes.logs),
        jax.tree.map(spread, entries.sums, slopes.sums),
    )
