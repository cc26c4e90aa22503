"""Tiles of squared distances: a block of queries and a chunk of the gallery.

A tile's columns are in groups, and the device also finds the smallest number of each
group. The k nearest items of a chunk lie in the k groups with the smallest ones, so
that the host looks at few numbers of a tile.

Chunks are centred one at a time: there is no copy of the whole gallery.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from jml.distances import inner_products

from ._vectors import Vectors

QUERIES = 256  # most rows of a tile
ITEMS = 8064  # most columns: two tiles fit a processor's cache
GROUP = 32  # columns of a group
AHEAD = 1  # tiles that the device makes while one is looked at


class Block(NamedTuple):
    """Some queries; the rows of `x` are filled up to those of a tile."""

    queries: Int[np.ndarray, " q"]
    x: Array  # [t, d], on the device
    base: Float[np.ndarray, " q"]  # their squared norms, in float64


class Tile(NamedTuple):
    """Inner products of a block of queries and a chunk of the gallery."""

    products: Float[np.ndarray, "q p g"]  # column p g + j is in group j
    offsets: Float[np.ndarray, "p g"]  # squared norms of the items; inf: no item
    minima: Float[np.ndarray, "q g"]  # the smallest square of each group
    start: int  # the first item
    largest: float  # squared norm of the items up to this chunk

    def squares(
        self, row: Int[np.ndarray, " k"], group: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, "k p"]:
        """``partial_squares`` of the items of some rows' groups."""
        return self.offsets[:, group].T - 2 * self.products[row, :, group]


def padded_size(size: int, most: int) -> int:
    """Rows of equal parts of at most `most`, of few sizes: few programs are compiled.

    They are powers of two up to 128, from 16 on, and multiples of 128.
    """
    needed, rows = -(-size // -(-size // most)), 16
    while rows < needed:
        rows += min(rows, 128)
    return max(min(rows, most), needed)


def make_block(
    vectors: Vectors, queries: Int[np.ndarray, " q"], rows: int, dtype: np.dtype
) -> Block:
    """Centres some queries and puts them on the device."""
    x = vectors.centred(0, queries, dtype)
    base = vectors.squared_norms(x)
    return Block(queries, jax.device_put(_filled(x, rows, 0)), base)


def each_tile(
    vectors: Vectors,
    blocks: Sequence[Block],
    starts: Any,
    columns: int,
    group: int,
    dtype: np.dtype,
) -> Iterator[tuple[int, Tile]]:
    """The tiles of all blocks, chunk by chunk: each with the number of its block.

    The device makes the next tiles while the caller looks at one.

    Args:
        vectors: queries and gallery.
        blocks: the queries.
        starts: the first item of each chunk, in ascending order.
        columns: of a tile, a multiple of `group`.
        group: columns of a group.
        dtype: of the products.
    """
    largest = 0.0
    running: deque[tuple[int, Callable[[], Tile]]] = deque()
    for start in starts:
        y = vectors.centred(-1, slice(start, start + columns), dtype)
        norms = vectors.squared_norms(y)
        largest = max(largest, float(norms.max()))
        offsets = _filled(norms.astype(dtype), columns, np.inf)
        y = jax.device_put(_filled(y, columns, 0))
        for number, block in enumerate(blocks):
            made = _tile(block.x, y, offsets, group=group)
            tile = partial(_on_host, made, len(block.queries), offsets, start, largest)
            running.append((number, tile))
            if len(running) > AHEAD:
                number, tile = running.popleft()
                yield number, tile()
    for number, tile in running:
        yield number, tile()


def _on_host(
    made: tuple[Array, Array],
    count: int,
    offsets: Float[np.ndarray, " c"],
    start: int,
    largest: float,
) -> Tile:
    products, minima = (np.asarray(a)[:count] for a in made)
    groups = minima.shape[1]
    products = products.reshape(count, -1, groups)
    return Tile(products, offsets.reshape(-1, groups), minima, start, largest)


def _filled(a: np.ndarray, rows: int, fill: float | int) -> np.ndarray:
    if len(a) == rows:
        return a
    padding = [(0, rows - len(a))] + [(0, 0)] * (a.ndim - 1)
    return np.pad(a, padding, constant_values=fill)


@partial(jax.jit, static_argnames="group")
def _tile(
    x: Float[Array, "q d"], y: Float[Array, "c d"], offsets: Array, *, group: int
) -> tuple[Float[Array, "q c"], Float[Array, "q g"]]:
    """The products, and the smallest square of each group.

    XLA makes the minimum of slices in one pass, in vectors; a reduction takes as long
    as the products. The squares are not written: the host needs few of them.
    """
    products, size = inner_products(x, y), len(y) // group
    parts = [slice(at, at + size) for at in range(0, len(y), size)]
    squares = (offsets[None, part] - 2 * products[:, part] for part in parts)
    return products, reduce(jnp.minimum, squares)
