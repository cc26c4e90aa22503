"""Both sides of the pair matrix: anchors, and the references they are compared with."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer

from jml._gram_distances import RowFacts, row_facts
from jml._numerics import saturating_cast
from jml.distances import as_compute

from ._devices import AxisName, gather
from ._memory import Memory


class Side(NamedTuple):
    """The embeddings on one side of the pair matrix: anchors, or references."""

    embeddings: Float[Array, "n d"]
    facts: RowFacts
    labels: Integer[Array, " n"]
    valid: Bool[Array, " n"]  # False: neither positive nor negative of anything
    position: Int[Array, " n"]  # among all references; an anchor's says which it is


class Pairs(NamedTuple):
    """The two sides of the pair matrix."""

    anchors: Side  # this device's part of the batch
    batch: Side  # the batches of all devices
    memory: Side | None  # references that are no anchors

    @property
    def references(self) -> Side:
        """All that the anchors are compared with."""
        if self.memory is None:
            return self.batch
        return concatenate(self.batch, self.memory)


def concatenate(*parts: Side) -> Side:
    """Several parts of one side as one."""
    return jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *parts)


def prepare(
    embeddings: Float[Array, "n d"], where: Bool[Array, " n"] | None
) -> tuple[Float[Array, "n d"], Bool[Array, " n"]]:
    """Embeddings in the dtype to compute in, and which of them are valid.

    Embeddings that are not valid become 0, so that a NaN among them cannot spread.
    """
    where = jnp.ones(len(embeddings), bool) if where is None else where
    return jnp.where(where[:, None], as_compute(embeddings), 0), where


def make_pairs(
    x: Float[Array, "n d"],
    labels: Integer[Array, " n"],
    valid: Bool[Array, " n"],
    memory: Memory | None = None,
    axis_name: AxisName = None,
) -> Pairs:
    """The batch against itself and, if there is one, a memory of earlier batches.

    Args:
        x: the batch, or this device's part of it, from `prepare`.
        labels: its classes.
        valid: from `prepare`.
        memory: further references, which pass no gradient.
        axis_name: of the mapped axis over which the batch is spread.
    """
    if memory is not None:
        wide = jnp.promote_types(labels.dtype, memory.labels.dtype)
        # uint64 and int64 together make a float.
        wide = wide if jnp.issubdtype(wide, jnp.integer) else jnp.int64
        labels = labels.astype(jax.dtypes.canonicalize_dtype(wide))
    position = jnp.arange(len(x))
    anchors = batch = Side(x, row_facts(x), labels, valid, position)
    if axis_name is not None:
        offset = jax.lax.axis_index(axis_name) * len(x)
        anchors = anchors._replace(position=position + offset)
        batch = jax.tree.map(lambda a: gather(a, axis_name), anchors)
    if memory is None:
        return Pairs(anchors, batch, None)
    kept = saturating_cast(jax.lax.stop_gradient(memory.embeddings), x.dtype)
    kept, filled = prepare(kept, memory.filled)
    labels = memory.labels.astype(labels.dtype)
    position = len(batch.position) + jnp.arange(len(kept))
    earlier = Side(kept, row_facts(kept), labels, filled, position)
    return Pairs(anchors, batch, earlier)
