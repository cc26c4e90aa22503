"""Distances between rows, safe to differentiate anywhere.

They are computed in float32 at least, on every device in full precision: a product in
TensorFloat-32 or bfloat16 loses exactly the small differences that a metric is about.
Distances of float16 and bfloat16 are returned in float32, too; gradients are in the
dtype of what they belong to, and where that is float16 no larger than it can hold.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt

from jml._numerics import widen

FLOOR = 1e-16  # a squared distance below this counts as zero
NORM_FLOOR = 1e-12


def as_compute(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Casts to float32 at least and keeps finite numbers within reach of overflow.

    Entries beyond the fourth root of the largest float (4e9 in float32) saturate, so
    that no square, nor any sum of squares over a batch, overflows. Infinities become
    NaN: what they take part in is to show it.
    """
    x = widen(x)
    limit = float(jnp.finfo(x.dtype).max) ** 0.25
    return jnp.where(jnp.isinf(x), jnp.nan, jnp.clip(x, -limit, limit))


def squared_norms(x: Float[Array, "n d"]) -> Float[Array, " n"]:
    """``|x_i|^2`` of every row."""
    x = widen(jnp.asarray(x))
    return jnp.sum(x * x, axis=1)


class RowFacts(NamedTuple):
    """What distances need to know of each row beside its products with others."""

    squared_norms: Float[Array, " n"]
    checksums: UInt[Array, " n"]


def row_facts(x: Float[Array, "n d"]) -> RowFacts:
    """What to keep of rows that meet others more than once."""
    return RowFacts(squared_norms(x), checksums(x))


def checksums(x: Float[Array, "n d"]) -> UInt[Array, " n"]:
    """A number for each row: identical rows share it, and others hardly ever do."""
    wide = widen(x)
    positive_zeros = jnp.where(wide == 0, 0, wide)
    bits = jax.lax.bitcast_convert_type(positive_zeros, jnp.uint32)
    bits = bits.reshape(len(x), x.shape[1] * wide.dtype.itemsize // 4)
    # The factors are odd, so that no bit is lost; rounded numbers end in zeros, and a
    # sum's last bits know only of last bits.
    factors = np.random.default_rng(0).integers(2**31, size=bits.shape[1]) * 2 + 1
    mixed = (bits ^ (bits >> 16)) * factors.astype(np.uint32)[None, :]
    return jnp.sum(mixed, axis=1, dtype=jnp.uint32)


def squared_distances(
    x: Float[Array, "n d"],
    y: Float[Array, "m d"] | None = None,
    *,
    x_facts: RowFacts | None = None,
    y_facts: RowFacts | None = None,
) -> Float[Array, "n m"]:
    r"""Squared Euclidean distances between rows, from their Gram matrix.

    $$S_{ij} = \max(0, |x_i|^2 - 2 x_i \cdot y_j + |y_j|^2)$$

    An entry that rounding made negative is 0 and passes no gradient; nor does one
    beyond the largest float, which is infinite. Identical rows are at distance exactly
    0: rounding would put them at about the square root of the machine epsilon. Others
    are off by about $4 \cdot 10^{-7} |x_i|^2$ in float32: rows that are much closer to
    each other than to 0 lose digits.

    Args:
        x: rows.
        y: other rows, `x` itself by default.
        x_facts: `row_facts` of `x`, where they are known already, of rows whose squares
            do not overflow.
        y_facts: those of `y`, likewise.

    Returns:
        The distances, in the wider dtype of both, but in float32 at least.

    Example:
        >>> squared_distances(jnp.array([[0.0, 0.0], [3.0, 4.0]]))
        Array([[ 0., 25.],
               [25.,  0.]], dtype=float32)
    """
    x, y = _in_one_dtype(x, y)
    products = gram(x) if y is None else inner_products(x, y)
    prepared = x_facts is not None  # by `as_compute`: nothing overflows
    x_facts = x_facts if prepared else row_facts(x)
    if y_facts is None:
        y_facts = x_facts if y is None else row_facts(y)
    x_norms, x_sums = (fact[:, None] for fact in x_facts)
    y_norms, y_sums = (fact[None, :] for fact in y_facts)
    squared = x_norms + y_norms - 2 * products  # in this order symmetric to the bit
    # Rows with one checksum by chance are hardly ever near each other as well.
    noise = 2 * x.shape[1] ** 0.5 * float(jnp.finfo(x.dtype).eps)
    near = squared <= noise * x_norms
    if not prepared:  # instead of infinity - infinity
        beyond = jnp.isinf(x_norms + y_norms)
        squared, near = jnp.where(beyond, jnp.inf, squared), near | beyond
    identical = (x_sums == y_sums) & near
    return jnp.where((squared < 0) | identical, 0, squared)


def _in_one_dtype(x: Array, y: Array | None) -> tuple[Array, Array | None]:
    x = widen(jnp.asarray(x))
    if y is None:
        return x, None
    y = widen(jnp.asarray(y))
    dtype = jnp.promote_types(x.dtype, y.dtype)
    return x.astype(dtype), y.astype(dtype)


def inner_products(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> Array:
    """``x_i . y_j`` for all pairs of rows, in full precision."""
    x, y = widen(jnp.asarray(x)), widen(jnp.asarray(y))
    return jnp.matmul(x, y.T, precision=jax.lax.Precision.HIGHEST)


@jax.custom_jvp
def gram(x: Float[Array, "n d"]) -> Float[Array, "n n"]:
    """``x_i . x_j``, with a derivative that costs one matrix product and not two."""
    return inner_products(x, x)


@gram.defjvp
def _gram_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    half = inner_products(dx, x)
    return gram(x), half + half.T


def euclidean_distances(squared: Float[Array, "n m"]) -> Float[Array, "n m"]:
    r"""Euclidean distances from squared ones, $D = \sqrt{\max(S, 10^{-16})}$.

    Below the floor the distance is a constant, so its gradient is 0 and not infinite.
    Half precision becomes float32.

    Example:
        >>> euclidean_distances(jnp.array([[0.0, 25.0]]))
        Array([[1.e-08, 5.e+00]], dtype=float32)
    """
    squared = widen(jnp.asarray(squared))
    return jnp.sqrt(jnp.where(squared < FLOOR, FLOOR, squared))


def normalize(x: Float[Array, "n d"]) -> Float[Array, "n d"]:
    r"""Rows of unit length, $x_i / \max(|x_i|, 10^{-12})$, in the dtype given.

    A row of zeros stays a row of zeros. Large rows are scaled down first, so that their
    norm does not overflow.

    A row whose norm is at most $10^{-12}$ has no direction to learn: it passes gradient
    0. That alone differs from PyTorch's `torch.nn.functional.normalize`, which passes
    $10^{12}$ times the gradient that it receives, and in float16, whose floor is 0,
    makes NaN of a row of zeros.

    Example:
        >>> normalize(jnp.array([[3.0, 4.0], [0.0, 0.0]]))
        Array([[0.6, 0.8],
               [0. , 0. ]], dtype=float32)
    """
    x = jnp.asarray(x)
    wide = widen(x)
    largest = jnp.max(jnp.abs(wide), axis=1, keepdims=True, initial=1)
    wide = wide / jax.lax.stop_gradient(largest)
    squared = squared_norms(wide)[:, None]
    short = jnp.sqrt(squared) <= NORM_FLOOR
    norms = jnp.where(short, NORM_FLOOR, jnp.sqrt(jnp.where(short, 1, squared)))
    unit = jnp.where(short, jax.lax.stop_gradient(wide), wide) / norms
    return unit.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else unit
