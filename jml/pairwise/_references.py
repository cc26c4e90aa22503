"""Both sides of the pair matrix: anchors, and the references they are compared with."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer, Real

from jml._gram_distances import RowFacts, row_facts
from jml._numerics import saturating_cast
from jml.distances import as_compute, normalize

from ._devices import AxisName, count_devices, gather
from ._memory import Memory

Labels = Integer[Array, " n"] | Bool[Array, "n l"]  # one each, or any number of l
Related = Real[Array, "n m"] | Bool[Array, "n m"]


class References(NamedTuple):
    """What a batch is compared with in place of itself."""

    # None of them is there without embeddings.
    embeddings: Any = None  # Float[Array, "n d"]
    labels: Any = None  # Labels
    where: Any = None  # Bool[Array, " n"]


class Side(NamedTuple):
    """The embeddings on one side of the pair matrix: anchors, or references."""

    embeddings: Float[Array, "n d"]
    facts: RowFacts
    labels: Any  # Labels, or None where anchors have `related`
    valid: Bool[Array, " n"]  # False: neither positive nor negative of anything
    position: Int[Array, " n"]  # among all references; an anchor's says which it is
    related: Related | None = None  # of anchors, to all references, in place of labels


class Pairs(NamedTuple):
    """The two sides of the pair matrix."""

    anchors: Side  # this device's part of the batch
    batch: Side  # the batches of all devices; or the references given in their place
    memory: Side | None  # references that are no anchors
    mutual: bool = True  # whether the anchors are references, too

    @property
    def references(self) -> Side:
        """All that the anchors are compared with."""
        if self.memory is None:
            return self.batch
        return concatenate(self.batch, self.memory)

    @property
    def labelled(self) -> bool:
        """Whether each item has one integer as its label."""
        labels = self.anchors.labels
        return self.anchors.related is None and labels is not None and labels.ndim == 1


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
    labels: Labels | None,
    valid: Bool[Array, " n"],
    memory: Memory | None = None,
    axis_name: AxisName = None,
    *,
    references: References | None = None,
    related: Related | None = None,
) -> Pairs:
    """The batch against itself and, if there is one, a memory of earlier batches.

    The positions count the batches of all devices first, then the references of all
    devices, then the memory.

    Args:
        x: the batch, or this device's part of it, from `prepare`.
        labels: its classes; None with `related`.
        valid: from `prepare`.
        memory: further references, which pass no gradient.
        axis_name: of the mapped axis over which the batch is spread.
        references: what the batch is compared with in place of itself, or this device's
            part of it, prepared as the batch is.
        related: in place of labels, the relation of each of the batch to all references
            and those of the memory.
    """
    dtype = _label_dtype(labels, references, memory)
    size = len(x)
    devices = count_devices(axis_name)
    device = 0 if axis_name is None else jax.lax.axis_index(axis_name)

    def side(embeddings, labels, valid, first: int | Int[Array, ""]) -> Side:
        position = first + jnp.arange(len(embeddings))
        labels = None if related is not None else labels.astype(dtype)
        return Side(embeddings, row_facts(embeddings), labels, valid, position)

    anchors = batch = side(x, labels, valid, device * size)
    end = devices * size
    if references is not None:
        size = len(references.embeddings)
        batch = side(*references, end + device * size)
        end += devices * size
    if axis_name is not None:
        batch = jax.tree.map(lambda a: gather(a, axis_name), batch)
    anchors = anchors._replace(related=related)
    if memory is None:
        return Pairs(anchors, batch, None, references is None)
    kept = saturating_cast(jax.lax.stop_gradient(memory.embeddings), x.dtype)
    kept, filled = prepare(kept, memory.filled)
    earlier = side(kept, memory.labels, filled, end)
    return Pairs(anchors, batch, earlier, references is None)


def _label_dtype(labels, references: References | None, memory: Memory | None):
    """A dtype that holds the labels of all sides."""
    sides = [labels, references and references.labels, memory and memory.labels]
    dtypes = [array.dtype for array in sides if array is not None]
    if labels is None or labels.ndim == 2:
        return jnp.bool_
    wide = dtypes[0]
    for dtype in dtypes[1:]:
        wide = jnp.promote_types(wide, dtype)
        # uint64 and int64 together make a float.
        wide = wide if jnp.issubdtype(wide, jnp.integer) else jnp.int64
    return jax.dtypes.canonicalize_dtype(wide)


def normalize_all(x, y, memory: Memory | None, parameters: dict[str, Any]):
    """Everything that has the length of an embedding, on the unit sphere."""
    if memory is not None:
        kept = normalize(as_compute(memory.embeddings))
        memory = memory._replace(embeddings=kept)
    y = None if y is None else normalize(y)
    rows = {k: normalize(v) if v.ndim == 2 else v for k, v in parameters.items()}
    return normalize(x), y, memory, rows
