"""The lengths of embeddings before they are scaled, which make margins of losses."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_number
from jml._gram_distances import squared_norms
from jml._label_checks import check_embeddings, check_where
from jml._numerics import inverse
from jml._value_checks import check_type
from jml.distances import as_compute
from jml.pairwise import AxisName, Scalar, check_axis_name, psum

SHORTEST, LONGEST = 1e-3, 100.0  # lengths are cut to these of AdaFace's authors


class Lengths(NamedTuple):
    """What is known of the lengths of embeddings: their mean and their deviation."""

    mean: Float[Array, ""]
    deviation: Float[Array, ""]


def init_lengths() -> Lengths:
    """The mean 20 and the deviation 100, with which the authors begin.

    Example:
        >>> float(init_lengths().mean)
        20.0
    """
    return Lengths(jnp.full((), 20.0), jnp.full((), 100.0))


def update_lengths(
    lengths: Lengths,
    embeddings: Float[Array | np.ndarray, "b d"],
    *,
    where: Bool[Array | np.ndarray, " b"] | None = None,
    rate: Scalar = 0.01,
    axis_name: AxisName = None,
) -> Lengths:
    """Moves the mean and the deviation of lengths towards those of a batch.

    Args:
        lengths: from `init_lengths`, or from the step before.
        embeddings: the batch, as the network returns it. It gets no gradient.
        where: False for items to leave out. Without any item nothing changes.
        rate: how far they move, from 0 to 1.
        axis_name: of the mapped axis over which the batch is spread.

    Returns:
        The new mean and deviation, the latter with one less than the number of items as
        its divisor.

    Raises:
        ValueError: for a wrong type, shape or dtype.

    Example:
        >>> lengths = Lengths(jnp.array(2.0), jnp.array(1.0))
        >>> x = jnp.array([[3.0, 4.0], [0.0, 3.0]])
        >>> print(update_lengths(lengths, x, rate=0.5).mean)
        3.0
    """
    name = "update_lengths"
    check_lengths(name, lengths)
    check_axis_name(name, axis_name)
    rate = check_number(name, "rate", rate)
    cut, valid = lengths_within(name, embeddings, where, SHORTEST, LONGEST)
    latest, number = measure(jax.lax.stop_gradient(cut), valid, axis_name)
    rate = jnp.where(number > 0, rate, 0)

    def move(old: Array, new: Array) -> Array:
        return ((1 - rate) * old + rate * new).astype(jnp.asarray(old).dtype)

    return Lengths(*map(move, lengths, latest))


def check_lengths(name: str, lengths: Any) -> None:
    """Raises ValueError unless these are `Lengths` of two numbers."""
    check_type(name, "lengths", lengths, Lengths, "from `init_lengths`")
    for field, value in zip(Lengths._fields, lengths, strict=True):
        check_number(name, f"lengths.{field}", value)


def measure(
    lengths: Float[Array, " b"], valid: Bool[Array, " b"], axis_name: AxisName
) -> tuple[Lengths, Float[Array, ""]]:
    """The mean and the deviation over the batches of all devices, and their number."""
    number = psum(jnp.sum(valid, dtype=lengths.dtype), axis_name)
    mean = psum(jnp.sum(lengths, where=valid), axis_name) * inverse(number)
    squares = psum(jnp.sum((lengths - mean) ** 2, where=valid), axis_name)
    return Lengths(mean, jnp.sqrt(squares * inverse(number - 1))), number


def lengths_within(
    name: str, embeddings: Any, where: Any, low: Scalar, high: Scalar
) -> tuple[Float[Array, " b"], Bool[Array, " b"]]:
    """The length of each embedding, at least `low` and at most `high`; and `where`.

    An embedding that is left out has length `low`. Beyond the bounds the gradient is 0.

    Raises:
        ValueError: for embeddings that are not floats [B, D], and another `where`.
    """
    x = check_embeddings(name, embeddings)
    where = check_where(name, "where", where, len(x))
    valid = jnp.ones(len(x), bool) if where is None else jnp.asarray(where)
    squared = squared_norms(jnp.where(valid[:, None], as_compute(jnp.asarray(x)), 0))
    low, high = (jnp.asarray(limit, squared.dtype) for limit in (low, high))
    above = squared > low * low
    length = jnp.where(above, jnp.sqrt(jnp.where(above, squared, 1)), low)
    return jnp.where(length > high, high, length), valid
