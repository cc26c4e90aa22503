"""Tiles of squared distances: a block of queries and a chunk of the gallery.

A tile's columns are in groups, and the device also finds the smallest number of each
group. The k nearest items of a chunk lie in the k groups with the smallest ones, so
that the host looks at few numbers of a tile.

Chunks are centred one at a time: there is no copy of the whole gallery.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from jml.distances import inner_products

from ._vectors import Vectors

QUERIES = 1008  # most rows of a tile
ITEMS = 3968  # most columns: two tiles fit a processor's cache
GROUP = 16  # columns of a group


class Block(NamedTuple):
    """Some queries; the rows of `x` are filled up to those of a tile."""

    queries: Int[np.ndarray, " q"]
    x: Array  # [t, d], on the device
    base: Float[np.ndarray, " q"]  # their squared norms, in float64


class Tile(NamedTuple):
    """``partial_squares`` of a block of queries and a chunk of the gallery."""

    squares: Float[np.ndarray, "q p g"]  # column p g + j is in group j; inf: no item
    minima: Float[np.ndarray, "q g"]  # of each group
    start: int  # the first item
    largest: float  # squared norm of the items up to this chunk


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

    The device makes the next tile while the caller looks at one.

    Args:
        vectors: queries and gallery.
        blocks: the queries.
        starts: the first item of each chunk, in ascending order.
        columns: of a tile, a multiple of `group`.
        group: columns of a group.
        dtype: of the products.
    """
    largest, ready = 0.0, None
    for start in starts:
        y = vectors.centred(-1, slice(start, start + columns), dtype)
        norms = vectors.squared_norms(y)
        largest = max(largest, float(norms.max()))
        offsets = _filled(norms.astype(dtype), columns, np.inf)
        y = jax.device_put(_filled(y, columns, 0))
        for number, block in enumerate(blocks):
            made = _tile(block.x, y, offsets, group=group)
            tile = partial(_on_host, made, len(block.queries), start, largest)
            if ready is not None:
                yield ready[0], ready[1]()
            ready: tuple[int, Callable[[], Tile]] | None = number, tile
    if ready is not None:
        yield ready[0], ready[1]()


def _on_host(made: tuple[Array, Array], count: int, start: int, largest: float) -> Tile:
    squares, minima = (np.asarray(a)[:count] for a in made)
    return Tile(squares, minima, start, largest)


def _filled(a: np.ndarray, rows: int, fill: float | int) -> np.ndarray:
    if len(a) == rows:
        return a
    padding = [(0, rows - len(a))] + [(0, 0)] * (a.ndim - 1)
    return np.pad(a, padding, constant_values=fill)


@partial(jax.jit, static_argnames="group")
def _tile(
    x: Float[Array, "q d"], y: Float[Array, "c d"], offsets: Array, *, group: int
) -> tuple[Float[Array, "q p g"], Float[Array, "q g"]]:
    squares = offsets[None] - 2 * inner_products(x, y)
    squares = squares.reshape(len(x), group, -1)
    return squares, squares.min(axis=1)
