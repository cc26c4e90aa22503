"""Checks on the arguments of evaluation's public functions."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

METRICS = ("euclidean", "cosine")
SEEDS = 2**31 - 1  # the largest


def to_numpy(value) -> np.ndarray:
    """As a NumPy array; a tensor of PyTorch without its gradient, and on the host."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    value = value.detach().cpu()
    try:
        return value.numpy()
    except TypeError:  # NumPy has no bfloat16; what it holds fits float32 exactly
        return value.float().numpy()


def checked_embeddings(name: str, argument: str, x) -> Float[np.ndarray, "n d"]:
    """The embeddings, float32 or wider; raises a ValueError that names them."""
    if isinstance(x, jax.core.Tracer):
        raise ValueError(f"{name}: `{argument}` is traced; call it outside of jax.jit")
    x = to_numpy(x)
    if x.ndim != 2 or not x.shape[1] or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"{name}: `{argument}` must be floating [n, d], got {x.dtype} {x.shape}"
        )
    if not len(x):
        raise ValueError(f"{name}: `{argument}` must hold an item, got {x.shape}")
    x = x.astype(np.float64 if x.dtype == np.float64 else np.float32, copy=False)
    broken = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(broken):
        raise ValueError(
            f"{name}: {len(broken)} of {len(x)} rows of `{argument}` hold NaN or"
            f" infinity, the first of them row {broken[0]}"
        )
    return x


def checked_labels(name: str, argument: str, labels, count: int) -> np.ndarray:
    """The labels of so many items; raises a ValueError that names them."""
    labels = to_numpy(labels)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{name}: `{argument}` must be integer [{count}], got {labels.dtype}"
            f" {labels.shape}"
        )
    return labels


def check_count(name: str, argument: str, value, most: int) -> None:
    """Raises a ValueError unless this is an integer from 1 to the number to find."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not 1 <= value <= most:
        raise ValueError(
            f"{name}: {argument} must be an integer from 1 to {most}, the number of"
            f" items to find, got {value}"
        )


def check_at_most(name: str, most: int, **counts) -> None:
    """Raises a ValueError unless all of these are whole numbers from 0 to `most`."""
    for argument, value in counts.items():
        if not isinstance(value, int | np.integer) or not 0 <= value <= most:
            raise ValueError(
                f"{name}: `{argument}` must be an integer from 0 to {most}, got {value}"
            )


def check_columns(name: str, gallery: np.ndarray, embeddings: np.ndarray) -> None:
    """Raises a ValueError unless both have as many columns."""
    if gallery.shape[1] != embeddings.shape[1]:
        raise ValueError(
            f"{name}: `gallery` must have {embeddings.shape[1]} columns, as"
            f" `embeddings`, got {gallery.shape[1]}"
        )


def checked_index(name: str, index, queries: int, gallery: int) -> np.ndarray:
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
