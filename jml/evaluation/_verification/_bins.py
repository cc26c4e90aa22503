"""Impostor pairs in bins of their squared distances, by products on the device.

A product is off by rounding, and so is the bin of a pair, by `slack` at most in the
squared distance. What is counted in the bins is therefore exact but for pairs that
close to an edge; ``collect`` hands out the pairs of some bins, whose distances are then
computed from differences.
"""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from jaxtyping import Integer as Int

from jml.distances import inner_products
from jml.evaluation._ranking import Progress, width

from ._items import Items

BINS = 2**16
LEAST = 2.0**-100  # range of all bins in float32: 1 / width has to be a number
TILE = 1008  # most items on a side of a tile
NONE = 2**31 - 1  # place of an item that only fills a block up


class Blocks(NamedTuple):
    """Items in blocks on the device; a block has items of one fold."""

    rows: Float[Array, "b t d"]
    squares: Float[Array, "b t"]  # squared norms
    classes: Int[Array, "b t"]
    places: Int[Array, "b t"]
    starts: Int[np.ndarray, " b"]  # place of each block's first item
    folds: Int[np.ndarray, " b"]
    slack: float  # bounds the error of a squared distance


class Scale(NamedTuple):
    """Bins of one width from `low`; the first and the last go on for ever."""

    low: float
    width: float

    @property
    def edges(self) -> Float[np.ndarray, " e"]:
        """Squared distances between which the bins lie, as if all had one width."""
        return self.low + self.width * np.arange(BINS + 1)


def make_blocks(items: Items, dtype: np.dtype) -> Blocks:
    """Puts the items on the device, centred, in floats of this kind."""
    products = items.vectors.products(dtype)
    sizes = np.bincount(items.folds)
    most = sizes.max()
    tile = -(-most // -(-most // TILE))
    tile = -(-tile // 16) * 16  # few shapes are compiled
    starts, ends = [], []
    for end, size in zip(np.cumsum(sizes), sizes, strict=True):
        starts += range(end - size, end, tile)
        ends += [min(start + tile, end) for start in range(end - size, end, tile)]
    places = np.array(starts)[:, None] + np.arange(tile)
    filling = places >= np.array(ends)[:, None]
    at = np.minimum(places, len(items.classes) - 1)
    with width(products.x.dtype):
        return Blocks(
            jnp.asarray(products.x[at]),
            jnp.asarray(products.base.astype(dtype)[at]),
            jnp.asarray(np.where(filling, -1, items.classes[at]).astype(np.int32)),
            jnp.asarray(np.where(filling, NONE, places).astype(np.int32)),
            np.array(starts),
            items.folds[np.array(starts)],
            _slack(products.x, products.base),
        )


def _slack(rows: Float[np.ndarray, "n d"], squares: Float[np.ndarray, " n"]) -> float:
    """About seven standard deviations of the error of a squared distance.

    It is relative to the squared norms; see ``Vectors``, whose bound this is, and four
    units more for what is rounded before the product.
    """
    eps = float(np.finfo(rows.dtype).eps)
    error = eps * (4 + 0.3 * rows.shape[1] ** 0.5)
    return 4 * error * float(squares.max()) + 2 * rows.shape[1] * float(
        np.finfo(rows.dtype).tiny
    )


def count_bins(
    blocks: Blocks, scale: Scale, folds: int, progress: Progress
) -> tuple[Int[np.ndarray, " b"], Int[np.ndarray, "g b"]]:
    """Impostor pairs in each bin; and of them, those with an item in each fold."""
    counts = np.zeros(BINS, np.int64)
    of_folds = np.zeros((folds, BINS), np.int64)
    for a, b, bins in _tiles(blocks, scale, progress):
        here = np.bincount(bins, minlength=BINS + 1)[:BINS]
        counts += here
        of_folds[blocks.folds[a]] += here
        if blocks.folds[a] != blocks.folds[b]:
            of_folds[blocks.folds[b]] += here
    return counts, of_folds


def collect(
    blocks: Blocks, scale: Scale, wanted: Bool[np.ndarray, " b"], progress: Progress
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The impostor pairs in the bins that are wanted: bins, first and second places."""
    table = np.append(wanted, False)
    for a, b, bins in _tiles(blocks, scale, progress):
        at = np.flatnonzero(table[bins])
        i, j = np.divmod(at, blocks.rows.shape[1])
        yield bins[at], blocks.starts[a] + i, blocks.starts[b] + j


def _tiles(
    blocks: Blocks, scale: Scale, progress: Progress
) -> Iterator[tuple[int, int, Int[np.ndarray, " t"]]]:
    """The bins of all tiles; the next is made while one is used."""
    number = len(blocks.starts)
    low, width_ = scale.low, scale.width
    dtype = blocks.rows.dtype
    arrays = blocks[:4]
    before = None
    with width(np.dtype(dtype)):
        numbers = np.asarray(low, dtype), np.asarray(1 / width_, dtype)
        for a in progress(range(number)):
            for b in range(a, number):
                made = a, b, _bins_of_tile(arrays, a, b, *numbers)
                if before is not None:
                    yield *before[:2], np.asarray(before[2]).ravel()
                before = made
        if before is not None:
            yield *before[:2], np.asarray(before[2]).ravel()


@jax.jit
def _bins_of_tile(arrays, a, b, low, scale) -> Int[Array, "t t"]:
    """The bin of each pair of a tile; BINS for what is no impostor pair."""
    one = jax.tree.map(partial(jnp.take, indices=a, axis=0), arrays)
    other = jax.tree.map(partial(jnp.take, indices=b, axis=0), arrays)
    (x, x_squares, x_classes, x_places), (y, y_squares, y_classes, y_places) = (
        one,
        other,
    )
    squares = (x_squares[:, None] + y_squares[None]) - 2 * inner_products(x, y)
    bins = jnp.clip((squares - low) * scale, 0, BINS - 1).astype(jnp.int32)
    impostor = (x_classes[:, None] != y_classes[None]) & (y_classes[None] >= 0)
    impostor &= x_places[:, None] < y_places[None]
    return jnp.where(impostor, bins, BINS)
