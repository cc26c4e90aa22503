"""The nearest items of each query: candidates by products, order by differences."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from jaxtyping import Integer as Int

from jml.distances import inner_products

from ._excluded import Excluded
from ._keys import partial_squares
from ._layout import Gallery, Queries, in_blocks, make_gallery, make_queries
from ._level import first_dtype, width
from ._tile_keys import left_out
from ._vectors import CHUNK, Products, Vectors

TILE = 496  # rows of a tile
EXTRA = 32  # candidates beyond k, because products may put some of the k behind others


def nearest_items(
    vectors: Vectors, excluded: Excluded, queries: Int[np.ndarray, " q"], k: int
) -> Int[np.ndarray, "q k"]:
    """Gallery indices of each query's k nearest items, the nearest first."""
    dtype = first_dtype(vectors.dtype)
    with width(dtype):
        return _search(vectors, excluded, queries, k, vectors.products(dtype))


def nearest_item(vectors: Vectors) -> Int[np.ndarray, " n"]:
    """The gallery index of each query's nearest item, with nothing left out."""
    n, m = len(vectors.x), len(vectors.y)
    nothing = Excluded(np.full(n, -1), np.full(m, -2))
    return nearest_items(vectors, nothing, np.arange(n), 1)[:, 0]


def _search(
    vectors: Vectors,
    excluded: Excluded,
    queries: Int[np.ndarray, " q"],
    k: int,
    products: Products,
) -> Int[np.ndarray, "q k"]:
    tile = min(TILE, -(-len(vectors.y) // 16) * 16)
    in_order = slice(None)  # not sorted by class
    gallery = jax.device_put(make_gallery(excluded, products, in_order, tile))
    candidates = min(k + EXTRA, len(vectors.y))
    nearest = np.empty((len(queries), k), np.int32)
    cut_off = np.zeros(len(queries), bool)
    step = min(TILE, -(-len(queries) // 16) * 16)
    for at in range(0, len(queries), step):
        chunk = queries[at : at + step]
        block = make_queries(excluded, in_blocks(products.x[chunk], step, 0), chunk)
        nearest_by_products = _nearest_by_products(block, gallery, k=candidates)
        squares, items = (np.asarray(a)[: len(chunk)] for a in nearest_by_products)
        nearest[at : at + step], cut_off[at : at + step] = _order_candidates(
            vectors, products, chunk, squares, items, k
        )
    if cut_off.any():
        nearest[cut_off] = _search_in_float64(vectors, excluded, queries[cut_off], k)
    return nearest


def _order_candidates(
    vectors: Vectors,
    products: Products,
    queries: Int[np.ndarray, " q"],
    squares: Float[np.ndarray, "q c"],
    items: Int[np.ndarray, "q c"],
    k: int,
) -> tuple[Int[np.ndarray, "q k"], Bool[np.ndarray, " q"]]:
    """The k nearest of the candidates, ordered by differences where products cannot.

    Args:
        vectors: queries and gallery.
        products: what the squares were made of.
        queries: which queries.
        squares: the candidates' ``partial_squares``, in ascending order.
        items: the candidates.
        k: how many to return.

    Returns:
        The items, and for which queries there may be others among the k nearest that
        are no candidates.
    """
    squares = squares + products.base[queries][:, None]
    close = squares[:, :k] < products.close[queries][:, None]
    limit = np.where(close, squares[:, :k], -np.inf).max(axis=1)
    limit += products.slack[queries]
    inside = squares <= limit[:, None]
    cut_off = inside[:, -1] & (items.shape[1] < len(vectors.y))
    inside &= ~cut_off[:, None]
    row, column = np.nonzero(inside)
    keys = np.full(items.shape, np.iinfo(np.int64).max)
    keys[row, column] = vectors.exact_keys(queries[row], items[row, column])
    # Candidates beyond the limit keep their order, behind the others.
    by_key = np.lexsort((np.where(inside, items, 0), keys))
    return np.take_along_axis(items, by_key, axis=1)[:, :k], cut_off


def _search_in_float64(
    vectors: Vectors, excluded: Excluded, queries: Int[np.ndarray, " q"], k: int
) -> Int[np.ndarray, "q k"]:
    """The k nearest of all items: candidates by float64 products, then differences."""
    products, all_items = vectors.products(np.dtype(np.float64)), len(vectors.y)
    nearest = np.empty((len(queries), k), np.int64)
    step = max(1, CHUNK // all_items)
    for at in range(0, len(queries), step):
        chunk = queries[at : at + step]
        squares = products.offsets - 2 * (products.x[chunk] @ products.y.T)
        squares[excluded.pairs(chunk[:, None], np.arange(all_items))] = np.inf
        limit = np.partition(squares, k - 1, axis=1)[:, k - 1] + products.slack[chunk]
        row, item = np.nonzero(squares <= limit[:, None])
        keys = vectors.exact_keys(chunk[row], item)
        by_key = np.lexsort((item, keys, row))
        starts = np.searchsorted(row, np.arange(len(chunk)))
        nearest[at : at + step] = item[by_key][starts[:, None] + np.arange(k)]
    return nearest


@partial(jax.jit, static_argnames="k")
def _nearest_by_products(
    queries: Queries, gallery: Gallery, *, k: int
) -> tuple[Float[Array, "t k"], Int[Array, "t k"]]:
    """The k nearest items of one block of queries, and their ``partial_squares``."""
    x, ids = queries.x[0], queries.ids[0]
    groups = None if queries.groups is None else queries.groups[0]

    def squares_of(tile: Gallery) -> Float[Array, "t s"]:
        squares = partial_squares(inner_products(x, tile.y), tile.offsets)
        out = left_out(ids, groups, tile.ids, tile.groups)
        return jnp.where(out, jnp.inf, squares)

    tiles = jax.lax.map(squares_of, gallery)
    rows = jnp.moveaxis(tiles, 0, 1).reshape(len(x), -1)
    negative, items = jax.lax.top_k(-rows, k)
    return -negative, items
