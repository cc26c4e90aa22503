"""The matrix of pairs of a batch, and how a loss is computed over its rows.

A loss here is a sum over anchors of something that depends on one row of the matrix:
the distances from that anchor to every item, and which of those are its positives and
its negatives. A loss module writes that something as a function of `Rows`; this module
decides whether all rows exist at once or block by block.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .distances import as_compute, squared_distances, squared_norms

CONVENTIONS = ("original", "paper")
T = TypeVar("T")


class Rows(NamedTuple):
    """Some rows of the pair matrix: `b` anchors against all `n` items of the batch."""

    squared: Float[Array, "b n"]  # squared distances
    positive: Bool[Array, "b n"]  # same label, the anchor itself included
    negative: Bool[Array, "b n"]  # another label
    anchor: Int[Array, " b"]  # the anchors' places in the batch
    item: Int[Array, " n"]

    @property
    def later(self) -> Bool[Array, "b n"]:
        """True above the diagonal, where each unordered pair stands once."""
        return self.item[None, :] > self.anchor[:, None]

    @property
    def other(self) -> Bool[Array, "b n"]:
        """True off the diagonal."""
        return self.item[None, :] != self.anchor[:, None]


class Items(NamedTuple):
    """A batch, or some of it, as one side of the pair matrix."""

    embeddings: Float[Array, "n d"]
    squared_norms: Float[Array, " n"]
    labels: Int[Array, " n"]
    present: Bool[Array, " n"]
    index: Int[Array, " n"]


def make_rows(anchors: Items, batch: Items) -> Rows:
    """The rows of the pair matrix that belong to some anchors."""
    squared = squared_distances(
        anchors.embeddings,
        None if anchors is batch else batch.embeddings,
        x_norms=anchors.squared_norms,
        y_norms=batch.squared_norms,
    )
    present = anchors.present[:, None] & batch.present[None, :]
    same = anchors.labels[:, None] == batch.labels[None, :]
    return Rows(squared, present & same, present & ~same, anchors.index, batch.index)


RowFunction = Callable[[Rows], T]


def row_mapper(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    *,
    where: Bool[Array, " n"] | None = None,
    block_size: int | None = None,
) -> Callable[[RowFunction[T]], T]:
    """Returns `map_rows(function)`, which applies a function to all rows.

    `function` takes `Rows` and returns arrays with one entry for each anchor; so does
    `map_rows`, with one entry for each item of the batch. With `block_size` the rows
    are made that many anchors at a time, and again in the backward pass, so that memory
    grows with `block_size * n` and not with `n * n`.

    Args:
        embeddings: the batch.
        labels: its classes.
        where: False for items that count as absent: neither positive nor negative of
            anything, and without rows of their own.
        block_size: anchors in a block, None for all at once.
    """
    x = as_compute(embeddings)
    size = len(x)
    where = jnp.ones(size, bool) if where is None else where
    x = jnp.where(where[:, None], x, 0)  # a NaN in an absent row must not spread
    batch = Items(x, squared_norms(x), labels, where, jnp.arange(size))

    if block_size is None or block_size >= size:
        rows = make_rows(batch, batch)
        return lambda function: function(rows)

    def split(array: Array) -> Array:
        padding = [(0, -size % block_size)] + [(0, 0)] * (array.ndim - 1)
        return jnp.pad(array, padding).reshape(-1, block_size, *array.shape[1:])

    blocks = jax.tree.map(split, batch)  # padding is absent: `present` is padded False

    def map_rows(function: RowFunction[T]) -> T:
        block = jax.checkpoint(lambda anchors: function(make_rows(anchors, batch)))
        results = jax.lax.map(block, blocks)
        return jax.tree.map(lambda a: a.reshape(-1)[:size], results)

    return map_rows


def mean(total: Float[Array, " n"], count: Float[Array, " n"]) -> Float[Array, ""]:
    """The sum of the rows' totals over the sum of their counts; 0 where that is 0."""
    count = jnp.sum(count)
    return jnp.where(count > 0, jnp.sum(total), 0) / jnp.maximum(count, 1)


def count_true(mask: Bool[Array, "b n"], dtype: jnp.dtype) -> Float[Array, " b"]:
    """The number of True in each row, as floats: counts of triplets overflow int32."""
    return jnp.sum(mask, axis=1, dtype=dtype)


def masked_sum(values: Float[Array, "b n"], mask: Bool[Array, "b n"]) -> Array:
    """Each row's sum of the values where `mask` is True."""
    return jnp.sum(jnp.where(mask, values, 0), axis=1)
