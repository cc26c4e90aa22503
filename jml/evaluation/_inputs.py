"""Checks on the arguments of evaluation's public functions."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float
from jaxtyping import Integer as Int

from jml._blocks_of_rows import rows_not_finite
from jml._checks import is_integer


def to_numpy(value: Any) -> np.ndarray:
    """Converts to a NumPy array; a PyTorch tensor is detached and copied to the host.

    PyTorch is not imported: whatever has a method `detach` is taken for a tensor.
    """
    if not hasattr(value, "detach"):
        return np.asarray(value)
    value = value.detach().cpu()
    try:
        return value.numpy()
    except TypeError:  # NumPy has no bfloat16, whose numbers float32 holds exactly
        return value.float().numpy()


def checked_embeddings(
    name: str, argument: str, x: Any, *, least: int = 1
) -> Float[np.ndarray, "n d"]:
    """Returns the embeddings, `least` rows or more, in float32 or float64.

    Raises:
        ValueError: they are not floating [n, d], or hold NaN or infinity. The message
            names the public function and its argument.
    """
    if isinstance(x, Tracer):
        raise ValueError(f"{name}: `{argument}` is traced; call it outside of jax.jit")
    x = to_numpy(x)
    if x.ndim != 2 or not x.shape[1] or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"{name}: `{argument}` must be floating [n, d], got {x.dtype} {x.shape}"
        )
    if len(x) < least:
        raise ValueError(f"{name}: `{argument}` must hold an item, got {x.shape}")
    x = x.astype(np.float64 if x.dtype == np.float64 else np.float32, copy=False)
    broken = rows_not_finite(x)
    if len(broken):
        raise ValueError(
            f"{name}: {len(broken)} of {len(x)} rows of `{argument}` hold NaN or"
            f" infinity, the first of them row {broken[0]}"
        )
    return x


def checked_labels(
    name: str, argument: str, labels: Any, count: int
) -> Int[np.ndarray, " n"]:
    """Returns the labels; raises a ValueError unless they are integer [count]."""
    labels = to_numpy(labels)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{name}: `{argument}` must be integer [{count}], got {labels.dtype}"
            f" {labels.shape}"
        )
    return labels


def check_neighbour_count(name: str, argument: str, value: Any, most: int) -> None:
    """Raises a ValueError unless `value` is an integer from 1 to `most` items."""
    if not is_integer(value) or not 1 <= value <= most:
        raise ValueError(
            f"{name}: {argument} must be an integer from 1 to {most}, the number of"
            f" items to find, got {value}"
        )


def check_at_most(name: str, most: int, **counts: Any) -> None:
    """Raises a ValueError unless all `counts` are integers from 0 to `most`."""
    for argument, value in counts.items():
        if not is_integer(value) or not 0 <= value <= most:
            raise ValueError(
                f"{name}: `{argument}` must be an integer from 0 to {most}, got {value}"
            )


def check_columns(name: str, gallery: np.ndarray, embeddings: np.ndarray) -> None:
    """Raises a ValueError unless both have the same number of columns."""
    if gallery.shape[1] != embeddings.shape[1]:
        raise ValueError(
            f"{name}: `gallery` must have {embeddings.shape[1]} columns, as"
            f" `embeddings`, got {gallery.shape[1]}"
        )


def checked_self_index(
    name: str, index: Any, queries: int, gallery: int
) -> Int[np.ndarray, " n"]:
    """Returns each query's row of the gallery, -1 for none; raises a ValueError."""
    if index is None:
        return np.full(queries, -1)
    index = to_numpy(index)
    if index.shape != (queries,) or not np.issubdtype(index.dtype, np.integer):
        raise ValueError(
            f"{name}: `self_index` must be integer [{queries}], got {index.dtype}"
            f" {index.shape}"
        )
    if index.min() < -1 or index.max() >= gallery:
        raise ValueError(
            f"{name}: `self_index` must be rows of the gallery, from 0 to"
            f" {gallery - 1}, or -1, got {index.min()} to {index.max()}"
        )
    return index.astype(np.int64)
