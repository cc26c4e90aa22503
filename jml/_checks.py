"""Checks of the arguments of public functions, on what is known before running."""

import math
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def as_array(value: Any) -> Any:
    """The array within an object that JAX takes for one, such as a parameter of Flax.

    Anything else is returned as it is.
    """
    if isinstance(value, jax.Array | np.ndarray):
        return value
    return value.__jax_array__() if hasattr(value, "__jax_array__") else value


def check_array(name: str, argument: str, value, *, shape: str, ndim: int) -> Any:
    """Raises ValueError unless `value` is an array of `ndim` dimensions.

    Returns:
        The array, taken out of an object that holds one.
    """
    value = as_array(value)
    if not isinstance(value, jax.Array | np.ndarray):
        kind = type(value).__name__
        raise ValueError(
            f"{name}: `{argument}` must be an array {shape} of JAX or NumPy, got a "
            f"{kind}"
        )
    if value.ndim != ndim:
        raise ValueError(
            f"{name}: `{argument}` must have shape {shape}, got {tuple(value.shape)}"
        )
    return value


def known_array(value) -> np.ndarray | None:
    """The numbers of an array, or None where they are traced or in other processes."""
    if isinstance(value, Tracer):
        return None
    if isinstance(value, jax.Array) and not value.is_fully_addressable:
        return None
    return np.asarray(jax.device_get(value))


def check_kind(name: str, argument: str, value, kind, word: str) -> None:
    """Raises ValueError unless the dtype of `value` is of `kind`."""
    if not jnp.issubdtype(value.dtype, kind):
        raise ValueError(f"{name}: `{argument}` must be {word}, got {value.dtype}")


def check_number(name: str, argument: str, value) -> Any:
    """Raises ValueError unless `value` is a real number, traced or not.

    Returns:
        The number. If it is no array of JAX, the nearest float: `jax.jit` would compile
        anew for an integer.
    """
    value = as_array(value)
    array = isinstance(value, jax.Array | np.ndarray | np.generic)
    if array and (value.ndim or not is_real(value.dtype)):
        description = f"{value.dtype} {tuple(value.shape)}"
    elif not array and (isinstance(value, bool) or not isinstance(value, int | float)):
        description = repr(value)
    elif isinstance(value, jax.Array):
        return value
    else:
        return _nearest_float(value)
    raise ValueError(f"{name}: `{argument}` must be a number, got {description}")


def _nearest_float(value) -> float:
    largest = float(jnp.finfo(jax.dtypes.canonicalize_dtype(float)).max)
    # Python compares integers of any size; `float` of a large one is an OverflowError.
    if isinstance(value, int) or math.isfinite(value):
        return float(max(-largest, min(value, largest)))
    return float(value)


def is_real(dtype) -> bool:
    """Whether a dtype is of integers or floats."""
    return jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.floating)


def check_rows(name: str, argument: str, value, embeddings) -> Any:
    """Raises ValueError unless these are floats [C, D], for embeddings [B, D].

    Returns:
        The array.
    """
    value = check_array(name, argument, value, shape="[C, D]", ndim=2)
    _check_columns(name, argument, value, embeddings)
    return value


def _check_columns(name: str, argument: str, value, embeddings) -> None:
    check_kind(name, argument, value, jnp.floating, "floating")
    if value.shape[-1] != embeddings.shape[1]:
        raise ValueError(
            f"{name}: `{argument}` must have {embeddings.shape[1]} columns, as the "
            f"embeddings have, got {value.shape[-1]}"
        )


def check_class_weights(name: str, weights: Any, embeddings: Any) -> Any:
    """Raises ValueError unless these are floats [C, D] or [C, K, D].

    Returns:
        The array.
    """
    weights = as_array(weights)
    ndim = 3 if getattr(weights, "ndim", 2) == 3 else 2
    weights = check_array(
        name, "weights", weights, shape="[C, D] or [C, K, D]", ndim=ndim
    )
    _check_columns(name, "weights", weights, embeddings)
    if weights.ndim == 3 and not weights.shape[1]:
        raise ValueError(f"{name}: `weights` must have a center a class, got none")
    return weights


def check_length(name: str, argument: str, value, length: int) -> None:
    """Raises ValueError unless `value` has one entry for each embedding."""
    if len(value) != length:
        raise ValueError(
            f"{name}: `{argument}` must have one entry for each of the {length} "
            f"embeddings, got {len(value)}"
        )


def check_choice(name: str, argument: str, value, choices: Collection[Any]) -> None:
    """Raises ValueError unless `value` is one of `choices`."""
    if not isinstance(value, str | bool) or value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name}: `{argument}` must be one of {known}, got {value!r}")


def is_integer(value: object) -> bool:
    """Whether a value is a whole number of Python or NumPy; True and False are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_count(name: str, argument: str, value) -> None:
    """Raises ValueError unless `value` is a positive integer."""
    if not is_integer(value) or value < 1:
        raise ValueError(
            f"{name}: `{argument}` must be a positive integer, got {value!r}"
        )


def check_key(name: str, argument: str, value) -> Any:
    """Raises ValueError unless `value` is one random key, typed or of integers.

    Returns:
        The key, taken out of an object that holds one.
    """
    value = jnp.asarray(value) if isinstance(value, np.ndarray) else as_array(value)
    if isinstance(value, jax.Array):
        typed = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        integers = (value.dtype, value.ndim) == (jnp.uint32, 1)
        if integers or (typed and value.ndim == 0):
            return value
        value = f"{value.dtype} {tuple(value.shape)}"
    value = value if len(repr(value)) <= 60 else f"a {type(value).__name__}"
    raise ValueError(
        f"{name}: `{argument}` must be a key from jax.random.key, got {value}"
    )
