"""The matrix of pairs: anchors against the items they are held against.

A loss here is a sum over anchors of something that depends on one row of the matrix:
the distances from that anchor to every item, and which of those are its positives and
its negatives. A loss module writes that something as a function of `Rows`; `row_sums`
decides how many rows exist at once, and differentiates.
"""

from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml._numerics import saturating_cast
from jml.distances import RowFacts, as_compute, row_facts, squared_distances

from ._memory import Memory

CONVENTIONS = ("original", "paper")
AxisName = str | tuple[str, ...] | None
T = TypeVar("T")


class Rows(NamedTuple):
    """Some rows of the pair matrix: `b` anchors, each against `n` items."""

    squared: Float[Array, "b n"]  # squared distances
    positive: Bool[Array, "b n"]  # same label, the anchor itself included
    negative: Bool[Array, "b n"]  # another label
    anchor: Int[Array, "b 1"]  # the anchors' places among the items
    item: Int[Array, "#b n"]  # in one row for all anchors, or in one for each

    @property
    def other(self) -> Bool[Array, "b n"]:
        """True but for an anchor against itself."""
        return self.item != self.anchor


class Items(NamedTuple):
    """A batch, or what it is held against, as one side of the pair matrix."""

    embeddings: Float[Array, "n d"]
    facts: RowFacts
    labels: Int[Array, " n"]
    present: Bool[Array, " n"]
    index: Int[Array, " n"]  # places among all items


class Pairs(NamedTuple):
    """Both sides of the pair matrix."""

    anchors: Items
    batch: Items  # the anchors, and those of other devices
    memory: Items | None  # what stands in no row of its own

    @property
    def items(self) -> Items:
        """All that the anchors are held against."""
        return self.batch if self.memory is None else concatenate(*self[1:])


def concatenate(*parts: Items) -> Items:
    """Several sets of items as one."""
    return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)


def prepare(
    embeddings: Float[Array, "n d"], where: Bool[Array, " n"] | None
) -> tuple[Float[Array, "n d"], Bool[Array, " n"]]:
    """What is computed with: absent rows are 0, so that a NaN there cannot spread."""
    where = jnp.ones(len(embeddings), bool) if where is None else where
    return jnp.where(where[:, None], as_compute(embeddings), 0), where


def make_pairs(
    x: Float[Array, "n d"],
    labels: Int[Array, " n"],
    present: Bool[Array, " n"],
    memory: Memory | None = None,
    axis_name: AxisName = None,
) -> Pairs:
    """The batch against itself and, where there is one, a memory of earlier batches.

    Args:
        x: the batch, or this device's part of it.
        labels: its classes.
        present: False for items that are neither positive nor negative of anything.
        memory: further items, which stand in no row of their own.
        axis_name: of the mapped axis over which the batch is spread.
    """
    if memory is not None:
        wide = jnp.promote_types(labels.dtype, memory.labels.dtype)
        wide = wide if jnp.issubdtype(wide, jnp.integer) else jnp.int64  # of uint64
        labels = labels.astype(jax.dtypes.canonicalize_dtype(wide))
    index = jnp.arange(len(x))
    anchors = batch = Items(x, row_facts(x), labels, present, index)
    if axis_name is not None:
        offset = jax.lax.axis_index(axis_name) * len(x)
        anchors = anchors._replace(index=index + offset)
        batch = jax.tree.map(
            lambda a: jax.lax.all_gather(a, axis_name, tiled=True), anchors
        )
    if memory is None:
        return Pairs(anchors, batch, None)
    kept = saturating_cast(jax.lax.stop_gradient(memory.embeddings), x.dtype)
    kept, filled = prepare(kept, memory.filled)
    labels = memory.labels.astype(labels.dtype)
    index = len(batch.index) + jnp.arange(len(kept))
    earlier = Items(kept, row_facts(kept), labels, filled, index)
    return Pairs(anchors, batch, earlier)


def make_rows(anchors: Items, items: Items) -> Rows:
    """The rows of some anchors, held against some items."""
    squared = squared_distances(
        anchors.embeddings,
        items.embeddings,
        x_facts=anchors.facts,
        y_facts=items.facts,
    )
    present = anchors.present[:, None] & items.present[None, :]
    same = anchors.labels[:, None] == items.labels[None, :]
    return Rows(
        squared,
        present & same,
        present & ~same,
        anchors.index[:, None],
        items.index[None, :],
    )


def count_true(mask: Bool[Array, "b n"], dtype: jnp.dtype) -> Float[Array, " b"]:
    """The number of True in each row, as floats: counts of triplets overflow int32."""
    return jnp.sum(mask, axis=1, dtype=dtype)


def masked_sum(values: Float[Array, "b n"], mask: Bool[Array, "b n"]) -> Array:
    """Each row's sum of the values where `mask` is True."""
    return jnp.sum(jnp.where(mask, values, 0), axis=1)


class Members(NamedTuple):
    """Which items share a label: a run of `order` for each label."""

    order: Int[Array, " n"]  # items, sorted by label, the absent last in each run
    first: Int[Array, " b"]  # for each anchor, where the run of its label begins
    size: Int[Array, " b"]  # and how many of it are present


def group_by_label(anchors: Items, items: Items) -> Members:
    """Finds the items of each anchor's label in O(n log n), absent ones left out."""
    order = jnp.lexsort((~items.present, items.labels))  # a run begins with the present
    ordered = items.labels[order]
    # Unrolled, for the turns of a loop cost more than what they do.
    search = partial(jnp.searchsorted, ordered, anchors.labels, method="scan_unrolled")
    first, end = search(side="left"), search(side="right")
    upto = jnp.append(0, jnp.cumsum(items.present[order]))
    size = jnp.where(anchors.present, upto[end] - upto[first], 0)
    return Members(order, first, size)


def vary_like(items: Items, tree: T) -> T:
    """Marks values as each device's own inside `jax.shard_map`, as the items are.

    Sums over devices then happen where they are asked for, and loops may carry them.
    """
    never = jnp.any(jnp.isnan(items.embeddings) & ~items.present[:, None] & False)
    zero = never + 0 * jnp.sum(items.labels + items.index, dtype=jnp.int32)
    return jax.tree.map(lambda leaf: leaf + zero.astype(leaf.dtype), tree)
