"""Checks of a batch's labels, and of what goes with them."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._checks import as_array, check_array, check_kind, check_length, known_array


def check_batch(name: str, embeddings, labels, where=None) -> tuple[Any, Any, Any]:
    """Raises ValueError unless these are floats [B, D], labels [B], booleans [B].

    Returns:
        The arrays.
    """
    embeddings = check_embeddings(name, embeddings)
    labels = check_labels(name, "labels", labels, len(embeddings))
    return embeddings, labels, check_where(name, "where", where, len(embeddings))


def check_embeddings(name: str, embeddings) -> Any:
    """Raises ValueError unless these are floats [B, D].

    Returns:
        The array.
    """
    embeddings = check_array(name, "embeddings", embeddings, shape="[B, D]", ndim=2)
    check_kind(name, "embeddings", embeddings, jnp.floating, "floating")
    return embeddings


def check_labels(name: str, argument: str, labels, length: int) -> Any:
    """Raises ValueError unless these are integers [B] or booleans [B, L].

    Returns:
        The array.
    """
    labels = as_array(labels)
    if getattr(labels, "ndim", 1) == 2 and labels.dtype == jnp.bool_:
        labels = check_array(name, argument, labels, shape="[B, L]", ndim=2)
        check_length(name, argument, labels, length)
        return labels
    return check_class_labels(name, labels, length, argument)


def check_class_labels(
    name: str, labels, length: int | None = None, argument: str = "labels"
) -> Any:
    """Raises ValueError unless these are integers [B], for that many embeddings.

    Returns:
        The array.
    """
    labels = check_array(name, argument, labels, shape="[B]", ndim=1)
    check_kind(name, argument, labels, jnp.integer, "integer")
    check_labels_fit(name, argument, labels)
    if length is not None:
        check_length(name, argument, labels, length)
    return labels


def check_where(name: str, argument: str, where, length: int) -> Any:
    """Raises ValueError unless these are booleans [B], or None.

    Returns:
        The array, or None.
    """
    if where is None:
        return None
    where = check_array(name, argument, where, shape="[B]", ndim=1)
    check_kind(name, argument, where, jnp.bool_, "boolean")
    check_length(name, argument, where, length)
    return where


def check_labels_fit(name: str, argument: str, labels) -> None:
    """Raises ValueError if JAX would cut labels to fewer bits, and so merge classes."""
    kept = jax.dtypes.canonicalize_dtype(labels.dtype)
    if kept == labels.dtype or not len(labels):
        return
    limits, smallest, largest = jnp.iinfo(kept), int(labels.min()), int(labels.max())
    if smallest < limits.min or largest > limits.max:
        raise ValueError(
            f"{name}: `{argument}` must fit {kept}, got {smallest} to {largest}; "
            "number the classes, or set jax_enable_x64"
        )


def warn_of_labels(
    name: str,
    labels,
    where,
    proxies,
    *,
    word: str = "proxy",
    effect: str = "add 0 to the loss",
    depth: int = 3,
) -> None:
    """Warns of labels without a proxy, if labels are known before anything runs.

    The warning points at the caller of the public function, which is at this `depth` of
    calls. Its text is the same for every batch, so that Python prints it once for a
    place. Proxies may go by another `word`, and labels may have another `effect`.
    """
    labels, classes = known_array(as_array(labels)), len(as_array(proxies))
    where = np.True_ if where is None else known_array(as_array(where))
    if labels is not None and where is not None and np.any((labels >= classes) & where):
        warnings.warn(
            f"{name}: `labels` of {classes} and above have no {word}, and {effect};"
            f" they count from 0, so pass labels - 1 if yours are 1 to {classes}",
            stacklevel=depth,
        )


def check_alike(name: str, argument: str, labels: Any, others: Any, words: str) -> None:
    """Raises ValueError unless labels are of the same kind as others: `words`."""
    if labels.shape[1:] != others.shape[1:]:
        shape = ", ".join(["B", *map(str, others.shape[1:])])
        kind = "booleans" if others.ndim == 2 else "integers"
        raise ValueError(
            f"{name}: `{argument}` must be {kind} [{shape}], as {words} are, got "
            f"{labels.dtype} {tuple(labels.shape)}"
        )
