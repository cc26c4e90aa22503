"""What evaluation is given: checked, classes counted from 0, numbers within reach."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jml._checks import check_choice
from jml._labels import concatenate_labels

METRICS = ("euclidean", "cosine")
SEEDS = 2**31 - 1  # the largest
REACH = 20  # powers of two from 1, within which the squares of float32 are harmless


class Search(NamedTuple):
    """Queries and what they are searched for in, ready to be compared."""

    queries: Float[np.ndarray, "n d"]
    classes: Int[np.ndarray, " n"]  # of the queries, as indices into `labels`
    gallery: Float[np.ndarray, "m d"]  # `queries` itself where that is searched
    gallery_classes: Int[np.ndarray, " m"]
    self_index: Int[np.ndarray, " n"]  # a query's own place in the gallery, or -1
    offsets: Float[np.ndarray, " m"]  # of the gallery; see `comparable`
    labels: np.ndarray  # of the classes, sorted

    @property
    def among_themselves(self) -> bool:
        """Whether every query is searched for among the others."""
        return self.queries is self.gallery

    @property
    def neighbours(self) -> int:
        """How many items there are to find for a query."""
        return len(self.gallery) - self.among_themselves


def make_search(
    name: str,
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    gallery: Float[Array, "m d"] | None,
    gallery_labels: Int[Array, " m"] | None,
    *,
    metric: str = "euclidean",
    self_index: Int[Array, " n"] | None = None,
) -> Search:
    """Checks the arguments of the public function `name`; raises a ValueError."""
    check_choice(name, "metric", metric, METRICS)
    x = checked_embeddings(name, "embeddings", embeddings)
    labels = checked_labels(name, "labels", labels, len(x))
    if (gallery is None) != (gallery_labels is None):
        raise ValueError(
            f"{name}: `gallery` and `gallery_labels` must be given together"
        )
    if gallery is None:
        if len(x) < 2:
            raise ValueError(f"{name}: needs two items at least, got 1")
        if self_index is not None:
            raise ValueError(f"{name}: `self_index` must be None without a `gallery`")
        known, classes = np.unique(labels, return_inverse=True)
        (x,), offsets = comparable([x], metric)
        own = np.arange(len(x))
        return Search(x, classes, x, classes, own, offsets, known)
    y = checked_embeddings(name, "gallery", gallery)
    others = checked_labels(name, "gallery_labels", gallery_labels, len(y))
    check_columns(name, y, x)
    own = checked_index(name, self_index, len(x), len(y))
    known, classes = np.unique(concatenate_labels(labels, others), return_inverse=True)
    (x, y), offsets = comparable([x, y], metric)
    return Search(x, classes[: len(x)], y, classes[len(x) :], own, offsets, known)


def checked_embeddings(name: str, argument: str, x) -> Float[np.ndarray, "n d"]:
    """The embeddings, float32 or wider; raises a ValueError that names them."""
    if isinstance(x, jax.core.Tracer):
        raise ValueError(f"{name}: `{argument}` is traced; call it outside of jax.jit")
    x = np.asarray(x)
    if x.ndim != 2 or not x.shape[1] or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"{name}: `{argument}` must be floating [n, d], got {x.dtype} {x.shape}"
        )
    if not len(x):
        raise ValueError(f"{name}: `{argument}` must hold an item, got {x.shape}")
    x = x.astype(np.float64 if x.dtype == np.float64 else np.float32)
    broken = np.flatnonzero(~np.isfinite(x).all(axis=1))
    if len(broken):
        raise ValueError(
            f"{name}: {len(broken)} of {len(x)} rows of `{argument}` hold NaN or"
            f" infinity, the first of them row {broken[0]}"
        )
    return x


def checked_labels(name: str, argument: str, labels, count: int) -> np.ndarray:
    """The labels of so many items; raises a ValueError that names them."""
    labels = np.asarray(labels)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{name}: `{argument}` must be integer [{count}], got {labels.dtype}"
            f" {labels.shape}"
        )
    return labels


def check_count(name: str, argument: str, value, most: int) -> None:
    """Raises a ValueError unless this is an integer from 1 to the number to find."""
    if not isinstance(value, int | np.integer) or not 1 <= value <= most:
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
    index = np.asarray(index)
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


def comparable(
    parts: list[Float[np.ndarray, "n d"]], metric: str
) -> tuple[list[Float[np.ndarray, "n d"]], Float[np.ndarray, " m"]]:
    r"""Rows, and offsets $o$ for which $o_j - 2 x_i \cdot y_j$ orders the last part.

    For every query $x_i$ that is the order of the distances to the $y_j$; what is left
    out moves a whole row of them. The rows are about zero and of moderate size, so that
    squares neither overflow nor vanish, and embeddings that huddle far from the origin
    lose no digits. What was a tie stays one: a power of two scales exactly, and equal
    rows stay equal.

    With a centre $c$, the Euclidean offset is $|y_j - c|^2$; the cosine's is
    $-2 c \cdot y_j$ for rows of unit length.
    """
    if metric == "cosine":
        parts = [_unit_rows(x) for x in parts]
    else:
        exponent = np.frexp(max(max(x.max(), -x.min()) for x in parts))[1]
        if abs(exponent) > REACH:
            parts = [np.ldexp(x, -exponent) for x in parts]
    dtype = np.result_type(*parts)
    # An odd number of rows: their median is made of entries, and no number is new.
    sample = np.concatenate([x[:: len(x) // 128 + 1] for x in parts])
    centre = np.median(sample[len(sample) % 2 == 0 :], axis=0).astype(dtype)
    y = parts[-1]
    if metric == "cosine":
        if any(not x.any(axis=1).all() for x in parts):
            centre *= 0  # to a row of zeros all others are equally near: exactly
        offsets = -2 * np.sum(y * centre, axis=1, dtype=np.float64)
    parts = [x - centre for x in parts]
    if metric == "euclidean":
        y = parts[-1]
        offsets = np.sum(y * y, axis=1, dtype=np.float64)
    return parts, offsets.astype(dtype)


def _unit_rows(x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
    """Rows of length one; a row of zeros stays one."""
    _, exponent = np.frexp(np.abs(x).max(axis=1, keepdims=True))
    x = np.ldexp(x, -exponent)
    norms = np.sqrt(np.sum(x * x, axis=1, keepdims=True))
    return x / np.where(norms > 0, norms, 1)
