"""The nearest items themselves, for looking at them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jml._checks import check_choice

from ._inputs import (
    METRICS,
    check_columns,
    check_count,
    checked_embeddings,
    checked_index,
    comparable,
)
from ._keys import distances, inner_products

TILE = 496  # rows of a tile


def nearest_neighbours(
    embeddings: Float[Array, "n d"],
    gallery: Float[Array, "m d"] | None = None,
    *,
    k: int,
    rows: Int[Array, " q"] | None = None,
    metric: str = "euclidean",
    self_index: Int[Array, " n"] | None = None,
) -> Int[np.ndarray, "q k"]:
    """Gallery indices of each query's k nearest items, the nearest first.

    Equally near ones come by index. Without a gallery every item is searched for among
    the others.

    Args:
        embeddings: one row per query.
        gallery: the items to search, None for the queries themselves.
        k: how many, at most the number of items to find.
        rows: the queries to search for, all by default.
        metric: "euclidean" or "cosine".
        self_index: as in ``evaluate``.

    Returns:
        A row of indices for each query.

    Raises:
        ValueError: wrong shape or dtype, a number out of range, or an entry that is NaN
            or infinite.

    Example:
        >>> nearest_neighbours(np.float32([[0], [1], [3]]), k=2)
        array([[1, 2],
               [0, 2],
               [1, 0]], dtype=int32)
    """
    name = "nearest_neighbours"
    check_choice(name, "metric", metric, METRICS)
    parts = [checked_embeddings(name, "embeddings", embeddings)]
    if gallery is not None:
        parts.append(checked_embeddings(name, "gallery", gallery))
        check_columns(name, parts[1], parts[0])
    if gallery is None and self_index is not None:
        raise ValueError(f"{name}: `self_index` must be None without a `gallery`")
    own = checked_index(name, self_index, len(parts[0]), len(parts[-1]))
    if gallery is None:
        own = np.arange(len(parts[0]))
    neighbours = len(parts[-1]) - bool((own >= 0).any())
    check_count(name, "`k`", k, neighbours)
    parts, offsets = comparable(parts, metric)
    x, y = parts[0], parts[-1]
    rows = np.arange(len(x)) if rows is None else _checked_rows(name, rows, len(x))
    tile = min(TILE, -(-len(y) // 16) * 16)
    y = jax.device_put(_filled(y, tile).reshape(-1, tile, y.shape[1]))
    offsets = np.pad(offsets, (0, -len(offsets) % tile), constant_values=np.inf)
    offsets = offsets.reshape(-1, tile)  # what fills up the last tile is far away
    found = []
    for at in range(0, len(rows), tile):
        some = _filled(x[rows[at : at + tile]], tile)
        itself = _filled(own[rows[at : at + tile]], tile)
        found.append(np.asarray(_nearest(some, itself, y, offsets, k=k)))
    return np.concatenate(found)[: len(rows)]


def _checked_rows(name: str, rows, count: int) -> np.ndarray:
    rows = np.asarray(rows)
    if rows.ndim != 1 or not len(rows) or not np.issubdtype(rows.dtype, np.integer):
        raise ValueError(
            f"{name}: `rows` must be integer [q], at least one, got {rows.dtype}"
            f" {rows.shape}"
        )
    if rows.min() < 0 or rows.max() >= count:
        raise ValueError(
            f"{name}: `rows` must be from 0 to {count - 1}, got {rows.min()} to"
            f" {rows.max()}"
        )
    return rows


def _filled(a: np.ndarray, tile: int) -> np.ndarray:
    """With zeros up to a multiple: tiles of one shape round alike."""
    return np.pad(a, [(0, -len(a) % tile)] + [(0, 0)] * (a.ndim - 1))


@partial(jax.jit, static_argnames="k")
def _nearest(queries, itself, gallery, offsets, *, k):
    def distances_to(tile):
        y, offset = tile
        return distances(inner_products(queries, y), offset)

    rows = jnp.moveaxis(jax.lax.map(distances_to, (gallery, offsets)), 0, 1)
    rows = rows.reshape(len(queries), -1)
    absent = jnp.arange(rows.shape[1]) == itself[:, None]
    return jax.lax.top_k(jnp.where(absent, -jnp.inf, -rows), k)[1]
