"""Checks at the entrance of public functions, on what is known before running."""

import math
import warnings
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


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


def check_batch(name: str, embeddings, labels, where=None) -> tuple[Any, Any, Any]:
    """Raises ValueError unless these are floats [B, D], integers [B], booleans [B].

    Returns:
        The arrays.
    """
    embeddings = check_array(name, "embeddings", embeddings, shape="[B, D]", ndim=2)
    labels = check_array(name, "labels", labels, shape="[B]", ndim=1)
    check_kind(name, "embeddings", embeddings, jnp.floating, "floating")
    check_kind(name, "labels", labels, jnp.integer, "integer")
    check_length(name, "labels", labels, len(embeddings))
    check_width(name, labels)
    if where is not None:
        where = check_array(name, "where", where, shape="[B]", ndim=1)
        check_kind(name, "where", where, jnp.bool_, "boolean")
        check_length(name, "where", where, len(embeddings))
    return embeddings, labels, where


def check_width(name: str, labels) -> None:
    """Raises ValueError if JAX would cut labels off, and so make classes one."""
    kept = jax.dtypes.canonicalize_dtype(labels.dtype)
    if kept == labels.dtype or not len(labels):
        return
    limits, found = jnp.iinfo(kept), (int(labels.min()), int(labels.max()))
    if found[0] < limits.min or found[1] > limits.max:
        raise ValueError(
            f"{name}: `labels` must fit {kept}, got {found[0]} to {found[1]}; number "
            "the classes, or set jax_enable_x64"
        )


def warn_of_classes(name: str, labels, where, classes: int) -> None:
    """Warns the caller's caller of labels without a proxy, if labels are known by now.

    The words are the same for every batch, so that Python says them once for a place.
    """
    known = [known_array(a) for a in (labels, where) if a is not None]
    if any(a is None for a in known):
        return
    beyond = known[0] >= classes
    if np.any(beyond if where is None else beyond & known[1]):
        warnings.warn(
            f"{name}: `labels` of {classes} and above have no proxy, and add 0 to the "
            f"loss; they count from 0, so pass labels - 1 if yours are 1 to {classes}",
            stacklevel=3,
        )


def known_array(value) -> np.ndarray | None:
    """The numbers of an array, or None where they are traced or in other processes."""
    if isinstance(value, jax.core.Tracer):
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
        It, or the float nearest to it: `jax.jit` would compile anew for an integer.
    """
    value = as_array(value)
    array = isinstance(value, jax.Array | np.ndarray | np.generic)
    if array and (value.ndim or not _is_real(value.dtype)):
        found = f"{value.dtype} {tuple(value.shape)}"
    elif not array and (isinstance(value, bool) or not isinstance(value, int | float)):
        found = repr(value)
    elif isinstance(value, jax.Array):
        return value
    else:
        return _nearest_float(value)
    raise ValueError(f"{name}: `{argument}` must be a number, got {found}")


def _nearest_float(value) -> float:
    if not math.isfinite(value):
        return float(value)
    largest = float(jnp.finfo(jax.dtypes.canonicalize_dtype(float)).max)
    return float(max(-largest, min(value, largest)))


def _is_real(dtype) -> bool:
    return jnp.issubdtype(dtype, jnp.integer) or jnp.issubdtype(dtype, jnp.floating)


def check_length(name: str, argument: str, value, length: int) -> None:
    """Raises ValueError unless `value` has one entry for each embedding."""
    if len(value) != length:
        raise ValueError(
            f"{name}: `{argument}` must have one entry for each of the {length} "
            f"embeddings, got {len(value)}"
        )


def check_choice(name: str, argument: str, value, choices: Collection[str]) -> None:
    """Raises ValueError unless `value` is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name}: `{argument}` must be one of {known}, got {value!r}")


def check_count(name: str, argument: str, value) -> None:
    """Raises ValueError unless `value` is a positive integer."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(
            f"{name}: `{argument}` must be a positive integer, got {value!r}"
        )


def check_key(name: str, argument: str, value) -> Any:
    """Raises ValueError unless `value` is one random key, typed or of integers.

    Returns:
        The key, taken out of an object that holds one.
    """
    value = as_array(value)
    if isinstance(value, jax.Array):
        typed = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        integers = (value.dtype, value.ndim) == (jnp.uint32, 1)
        if integers or (typed and value.ndim == 0):
            return value
        value = f"{value.dtype} {tuple(value.shape)}"
    raise ValueError(
        f"{name}: `{argument}` must be a key from jax.random.key, got {value}"
    )
