"""Tiles of squared distances: a block of queries and a chunk of the gallery.

A tile's columns are in groups, and the device also finds the smallest number of each
group. The k nearest items of a chunk lie in the k groups with the smallest ones, so
that the host looks at few numbers of a tile.

Chunks are centred one at a time: there is no copy of the whole gallery.
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial, reduce
from itertools import cycle
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from jml.distances import inner_products

from ._vectors import Vectors

QUERIES = 1024  # most rows of a tile: the host looks at few large ones
ITEMS = 8064  # most columns
GROUP = 32  # columns of a group
AHEAD = 1  # tiles that the device makes while one is looked at
ALIGNMENT = 64  # bytes


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


def look_at_tiles(
    vectors: Vectors,
    blocks: Sequence[Block],
    starts: Any,
    columns: int,
    group: int,
    dtype: np.dtype,
    looks: Sequence[Callable[[Tile], None]],
) -> None:
    """Has the tiles of all blocks looked at, chunk by chunk.

    The device makes the next tiles meanwhile. Chunks and tiles take turns in the same
    memory: new memory of this size would cost more time than what it holds.

    Args:
        vectors: queries and gallery.
        blocks: the queries.
        starts: the first item of each chunk, in ascending order.
        columns: of a tile, a multiple of `group`.
        group: columns of a group.
        dtype: of the products.
        looks: for each block, what is called with its tiles.
    """
    largest = 0.0
    width = vectors.x.shape[1]
    # When a chunk is made, the one before it is still in use, and no other.
    chunks = cycle([_aligned((columns, width), dtype) for _ in range(AHEAD + 1)])
    rows = len(blocks[0].x)
    spare = [jax.device_put(np.empty((rows, columns), dtype)) for _ in range(AHEAD + 1)]
    running: deque[tuple[Callable[[Tile], None], Callable[[], Tile], Array]] = deque()

    def finish() -> None:
        look, tile, products = running.popleft()
        look(tile())
        spare.append(products)

    for start in starts:
        y, count = next(chunks), min(columns, len(vectors.y) - start)
        vectors.centred(-1, slice(start, start + count), dtype, y[:count])
        y[count:] = 0
        norms = vectors.squared_norms(y[:count])
        largest = max(largest, float(norms.max()))
        offsets = _filled(norms.astype(dtype), columns, np.inf)
        on_device = jax.device_put(y)
        for block, look in zip(blocks, looks, strict=True):
            made = _tile(block.x, on_device, offsets, spare.pop(), group=group)
            tile = partial(_on_host, made, len(block.queries), offsets, start, largest)
            running.append((look, tile, made[0]))
            if len(running) > AHEAD:
                finish()
    while running:
        finish()


def _aligned(shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """An empty array where XLA wants one to begin, or it would copy it on a CPU."""
    size = shape[0] * shape[1] * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


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


@partial(jax.jit, static_argnames="group", donate_argnames="into", keep_unused=True)
def _tile(
    x: Float[Array, "q d"],
    y: Float[Array, "c d"],
    offsets: Float[Array, " c"],
    into: Float[Array, "q c"],
    *,
    group: int,
) -> tuple[Float[Array, "q c"], Float[Array, "q g"]]:
    """The products, in the memory of `into`, and the smallest square of each group.

    XLA makes the minimum of slices in one pass, in vectors; a reduction takes as long
    as the products. The squares are not written: the host needs few of them.
    """
    products, size = inner_products(x, y), len(y) // group
    parts = [slice(at, at + size) for at in range(0, len(y), size)]
    squares = (offsets[None, part] - 2 * products[:, part] for part in parts)
    return products, reduce(jnp.minimum, squares)
