"""The nearest items themselves, for looking at them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jml.evaluation._ranking._excluded import Excluded, checked_classes, make_excluded
from jml.evaluation._ranking._inputs import check_count, to_numpy
from jml.evaluation._ranking._keys import distances, inner_products
from jml.evaluation._ranking._layout import (
    Gallery,
    Queries,
    blocks,
    make_gallery,
    make_queries,
)
from jml.evaluation._ranking._level import first_dtype, width
from jml.evaluation._ranking._search import make_vectors
from jml.evaluation._ranking._tiles import left_out
from jml.evaluation._ranking._vectors import CHUNK, Products, Vectors

TILE = 496  # rows of a tile
MORE = 32  # candidates beyond k, among which products may have lost some of the k


def nearest_neighbours(
    embeddings: Float[Array, "n d"],
    gallery: Float[Array, "m d"] | None = None,
    *,
    k: int,
    rows: Int[Array, " q"] | None = None,
    metric: str = "euclidean",
    self_index: Int[Array, " n"] | None = None,
    ids: Int[Array, " n"] | None = None,
    gallery_ids: Int[Array, " m"] | None = None,
    labels: Int[Array, " n"] | None = None,
    gallery_labels: Int[Array, " m"] | None = None,
    groups: Int[Array, " n"] | None = None,
    gallery_groups: Int[Array, " m"] | None = None,
) -> Int[np.ndarray, "q k"]:
    """Gallery indices of each query's k nearest items, the nearest first.

    Equally near ones come by index. Without a gallery every item is searched for among
    the others. Distances are as exact as in ``evaluate``.

    Args:
        embeddings: one row per query.
        gallery: the items to search, None for the queries themselves.
        k: how many, at most the number of items to find.
        rows: the queries to search for, all by default.
        metric: "euclidean" or "cosine".
        self_index: as in ``evaluate``.
        ids: which item each query is, as in ``evaluate``.
        gallery_ids: those of the gallery.
        labels: class of each query, needed for `groups` alone.
        gallery_labels: those of the gallery.
        groups: of the queries, as in ``evaluate``: items of a query's label and group
            are left out.
        gallery_groups: of the gallery.

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
    vectors = make_vectors(name, embeddings, gallery, metric)
    n, m = len(vectors.x), None if gallery is None else len(vectors.y)
    classes = None
    if labels is not None:
        _, *classes = checked_classes(name, labels, gallery_labels, n, m)
    excluded = make_excluded(
        name,
        n,
        m,
        self_index=self_index,
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
        classes=classes,
    )
    rows = np.arange(n) if rows is None else _checked_rows(name, rows, n)
    check_count(name, "`k`", k, len(vectors.y) - int(excluded.count()[rows].max()))
    dtype = first_dtype(vectors.dtype)
    with width(dtype):
        return _search(vectors, excluded, rows, k, vectors.products(dtype))


def nearest(vectors: Vectors) -> Int[np.ndarray, " n"]:
    """The nearest gallery item of each query, nothing left out."""
    n, m = len(vectors.x), len(vectors.y)
    nothing = Excluded(np.full(n, -1), np.full(m, -2))
    dtype = first_dtype(vectors.dtype)
    with width(dtype):
        found = _search(vectors, nothing, np.arange(n), 1, vectors.products(dtype))
    return found[:, 0]


def _search(
    vectors: Vectors, excluded: Excluded, rows: np.ndarray, k: int, products: Products
) -> Int[np.ndarray, "q k"]:
    tile = min(TILE, -(-len(vectors.y) // 16) * 16)
    everything = slice(None)  # in the order given
    gallery = jax.device_put(make_gallery(excluded, products, everything, tile))
    count = min(k + MORE, len(vectors.y))
    found, cut_off = np.empty((len(rows), k), np.int32), np.zeros(len(rows), bool)
    step = min(TILE, -(-len(rows) // 16) * 16)
    for at in range(0, len(rows), step):
        some = rows[at : at + step]
        queries = make_queries(excluded, blocks(products.x[some], step, 0), some)
        order, items = _nearest(queries, gallery, k=count)
        order, items = (np.asarray(a)[: len(some)] for a in (order, items))
        found[at : at + step], cut_off[at : at + step] = _settled(
            vectors, products, some, order, items, k
        )
    if cut_off.any():
        found[cut_off] = _of_all(vectors, excluded, rows[cut_off], k)
    return found


def _settled(
    vectors: Vectors,
    products: Products,
    some: Int[np.ndarray, " q"],
    order: Float[np.ndarray, "q c"],
    items: Int[np.ndarray, "q c"],
    k: int,
) -> tuple[Int[np.ndarray, "q k"], Bool[np.ndarray, " q"]]:
    """The k nearest of the candidates, those that products cannot order by differences.

    Also returns which queries lack candidates that may be among the k.
    """
    squares = order + products.base[some][:, None]
    close = squares[:, :k] < products.close[some][:, None]
    limit = np.where(close, squares[:, :k], -np.inf).max(axis=1) + products.slack[some]
    inside = squares <= limit[:, None]
    cut_off = inside[:, -1] & (items.shape[1] < len(vectors.y))
    inside &= ~cut_off[:, None]
    row, column = np.nonzero(inside)
    keys = np.full(items.shape, np.iinfo(np.int64).max)
    keys[row, column] = vectors.exact_keys(some[row], items[row, column])
    # Those beyond the limit keep their order, behind the others.
    by_key = np.lexsort((np.where(inside, items, 0), keys))
    return np.take_along_axis(items, by_key, axis=1)[:, :k], cut_off


def _of_all(
    vectors: Vectors, excluded: Excluded, queries: Int[np.ndarray, " q"], k: int
) -> Int[np.ndarray, "q k"]:
    """The k nearest of all items: candidates by float64 products, then differences."""
    products, everything = vectors.products(np.float64), np.arange(len(vectors.y))
    found = np.empty((len(queries), k), np.int64)
    step = max(1, CHUNK // len(vectors.y))
    for at in range(0, len(queries), step):
        some = queries[at : at + step]
        order = products.offsets - 2 * (products.x[some] @ products.y.T)
        order[excluded.pairs(some[:, None], everything)] = np.inf
        limit = np.partition(order, k - 1, axis=1)[:, k - 1] + products.slack[some]
        row, item = np.nonzero(order <= limit[:, None])
        keys = vectors.exact_keys(some[row], item)
        by_key = np.lexsort((item, keys, row))
        starts = np.searchsorted(row, np.arange(len(some)))
        found[at : at + step] = item[by_key][starts[:, None] + np.arange(k)]
    return found


def _checked_rows(name: str, rows, count: int) -> np.ndarray:
    rows = to_numpy(rows)
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


@partial(jax.jit, static_argnames="k")
def _nearest(queries: Queries, gallery: Gallery, *, k):
    """The k nearest items of one block of queries, by products, and their order."""
    x, ids, groups = jax.tree.map(lambda a: a[0], queries)

    def order_of(tile: Gallery):
        order = distances(inner_products(x, tile.y), tile.offsets)
        return jnp.where(left_out(ids, groups, tile.ids, tile.groups), jnp.inf, order)

    rows = jnp.moveaxis(jax.lax.map(order_of, gallery), 0, 1).reshape(len(x), -1)
    farness, items = jax.lax.top_k(-rows, k)
    return -farness, items
