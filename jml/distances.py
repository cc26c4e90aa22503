"""Distances between rows, safe to differentiate anywhere.

They are computed and returned in float32 at least, on every device in full precision:
a product in TensorFloat-32 or bfloat16 loses exactly the small differences that a
metric is about. A gradient has the dtype of its argument, and stays within that dtype's
range: in float16 it is at most 65504.
"""

from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ._checks import as_array, check_array, is_real
from ._gram_distances import inner_products as inner_products
from ._gram_distances import row_facts, squared_from_products
from ._gram_distances import squared_norms as squared_norms
from ._numerics import widen

__all__ = [
    "FLOOR",
    "NORM_FLOOR",
    "as_compute",
    "euclidean_distances",
    "gram",
    "inner_products",
    "normalize",
    "squared_distances",
    "squared_norms",
]

FLOOR = 1e-16  # a squared distance below this counts as zero
NORM_FLOOR = 1e-12


def as_compute(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Casts to float32 at least and keeps finite numbers within reach of overflow.

    Entries beyond the fourth root of the largest float (4e9 in float32) saturate, so
    that no square, nor any sum of squares over a batch, overflows. Infinities become
    NaN, so that every result that depends on one is NaN.
    """
    x = widen(x)
    limit = float(jnp.finfo(x.dtype).max) ** 0.25
    return jnp.where(jnp.isinf(x), jnp.nan, jnp.clip(x, -limit, limit))


def squared_distances(
    x: Float[Array | np.ndarray, "n d"],
    y: Float[Array | np.ndarray, "m d"] | None = None,
) -> Float[Array, "n m"]:
    r"""Squared Euclidean distances between rows, from their Gram matrix.

    $$S_{ij} = \max(0, |x_i|^2 - 2 x_i \cdot y_j + |y_j|^2)$$

    An entry that rounding made negative is 0 and passes no gradient. An entry beyond
    the largest float is infinite, and passes none either. Identical rows are at
    distance exactly 0: rounding alone would put them at about the square root of the
    machine epsilon. Other entries are off by about $4 \cdot 10^{-7} |x_i|^2$ in
    float32: rows that are much closer to each other than to 0 lose digits.

    Args:
        x: rows.
        y: other rows, `x` itself by default.

    Returns:
        The distances, in the wider dtype of both, but in float32 at least.

    Raises:
        ValueError: no numbers [n, d], or rows of different lengths.

    Example:
        >>> squared_distances(jnp.array([[0.0, 0.0], [3.0, 4.0]]))
        Array([[ 0., 25.],
               [25.,  0.]], dtype=float32)
    """
    x, y = _checked(x, y)
    x, y = _in_one_dtype(x, y)
    x_facts = row_facts(x)
    y_facts = x_facts if y is None else row_facts(y)
    products = gram(x) if y is None else inner_products(x, y)
    return squared_from_products(products, x_facts, y_facts, x.shape[1], overflow=True)


def _checked(x, y) -> tuple[Any, Any]:
    x = _rows("squared_distances", "x", x)
    y = None if y is None else _rows("squared_distances", "y", y)
    if y is not None and x.shape[1] != y.shape[1]:
        raise ValueError(
            f"squared_distances: `y` must have {x.shape[1]} columns, as `x` has, got"
            f" {y.shape[1]}"
        )
    return x, y


def _rows(name: str, argument: str, x) -> Any:
    x = as_array(x)
    if isinstance(x, list | tuple):
        with suppress(TypeError, ValueError):  # a list of something else than numbers
            x = jnp.asarray(x)
    x = check_array(name, argument, x, shape="[n, d]", ndim=2)
    if not is_real(x.dtype):
        raise ValueError(f"{name}: `{argument}` must be real numbers, got {x.dtype}")
    return x


def _in_one_dtype(x, y) -> tuple[Array, Array | None]:
    x = widen(jnp.asarray(x))
    if y is None:
        return x, None
    y = widen(jnp.asarray(y))
    dtype = jnp.promote_types(x.dtype, y.dtype)
    return x.astype(dtype), y.astype(dtype)


@jax.custom_jvp
def gram(x: Float[Array, "n d"]) -> Float[Array, "n n"]:
    """``x_i . x_j``, with a derivative that costs one matrix product and not two."""
    return inner_products(x, x)


@gram.defjvp
def _gram_jvp(primals, tangents):
    (x,), (dx,) = primals, tangents
    half = inner_products(dx, x)
    return gram(x), half + half.T


def euclidean_distances(
    squared: Float[Array | np.ndarray, "*s"],
) -> Float[Array, "*s"]:
    r"""Euclidean distances from squared ones, $D = \sqrt{\max(S, 10^{-16})}$.

    Below the floor the distance is a constant, so its gradient is 0 and not infinite.
    Half precision becomes float32.

    Example:
        >>> euclidean_distances(jnp.array([[0.0, 25.0]]))
        Array([[1.e-08, 5.e+00]], dtype=float32)
    """
    squared = as_array(squared)
    with suppress(TypeError, ValueError):  # what is wrong with it follows
        squared = jnp.asarray(squared)
    if not isinstance(squared, jax.Array):
        raise ValueError("euclidean_distances: `squared` must be an array of numbers")
    squared = widen(squared)
    return jnp.sqrt(jnp.where(squared < FLOOR, FLOOR, squared))


def normalize(x: Float[Array | np.ndarray, "n d"]) -> Float[Array, "n d"]:
    r"""Rows of unit length, $x_i / \max(|x_i|, 10^{-12})$, in the dtype of `x`.

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
    x = jnp.asarray(_rows("normalize", "x", x))
    wide = widen(x)
    largest = jnp.max(jnp.abs(wide), axis=1, keepdims=True, initial=1)
    wide = wide / jax.lax.stop_gradient(largest)
    squared = squared_norms(wide)[:, None]
    short = jnp.sqrt(squared) <= NORM_FLOOR
    norms = jnp.where(short, NORM_FLOOR, jnp.sqrt(jnp.where(short, 1, squared)))
    unit = jnp.where(short, jax.lax.stop_gradient(wide), wide) / norms
    return unit.astype(x.dtype) if jnp.issubdtype(x.dtype, jnp.floating) else unit
