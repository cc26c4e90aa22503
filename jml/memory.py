"""A memory of earlier batches, to hold a batch against more items than it has."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ._checks import check_batch, check_count


class Memory(NamedTuple):
    """The latest embeddings and their labels, in a ring."""

    embeddings: Float[Array, "m d"]
    labels: Int[Array, " m"]
    filled: Bool[Array, " m"]  # False for places nothing was written to yet
    next: Int[Array, ""]  # the place to be written next


def init_memory(size: int, dim: int, *, dtype=jnp.float32) -> Memory:
    """An empty memory for `size` embeddings.

    Args:
        size: of the memory, in embeddings.
        dim: of an embedding.
        dtype: in which they are kept.

    Raises:
        ValueError: for a size or dimension that is not a positive integer.

    Example:
        >>> init_memory(4096, 128).embeddings.shape
        (4096, 128)
    """
    check_count("init_memory", "size", size)
    check_count("init_memory", "dim", dim)
    return Memory(
        jnp.zeros((size, dim), dtype),
        jnp.zeros(size, int),
        jnp.zeros(size, bool),
        jnp.zeros((), jnp.int32),
    )


def update_memory(
    memory: Memory,
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    *,
    where: Bool[Array, " n"] | None = None,
) -> Memory:
    """Writes a batch over the oldest places; of a longer batch, its end remains.

    Call it after the loss of a batch, so that none is held against itself. What is
    kept passes no gradient.

    Args:
        memory: from `init_memory` or an earlier update.
        embeddings: the batch.
        labels: its classes.
        where: False for items that are not to be kept.

    Returns:
        The memory after it; the one given is unchanged.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> memory = init_memory(4, 1)
        >>> x = jnp.array([[1.0], [2.0], [3.0]])
        >>> memory = update_memory(memory, x, jnp.array([1, 2, 3]))
        >>> memory = update_memory(memory, 10 * x, jnp.array([1, 2, 3]))
        >>> print(memory.embeddings[:, 0])
        [20. 30.  3. 10.]

    References:
        Wang, Zhang, Huang, Scott: Cross-Batch Memory for Embedding Learning, 2020,
        https://arxiv.org/abs/1912.06798
    """
    check_batch("update_memory", embeddings, labels, where)
    check_memory("update_memory", memory, embeddings)
    size, number = len(memory.labels), len(labels)
    where = jnp.ones(number, bool) if where is None else where
    # Kept items stand in a row; a place beyond the ring is written by nobody.
    rank = jnp.cumsum(where) - 1
    kept = jnp.sum(where)
    last = where & (rank >= kept - size)
    place = jnp.where(last, (memory.next + rank) % size, size)
    embeddings = jax.lax.stop_gradient(embeddings)
    return Memory(
        _write(memory.embeddings, place, embeddings),
        _write(memory.labels, place, labels),
        memory.filled.at[place].set(True, mode="drop"),
        ((memory.next + kept) % size).astype(jnp.int32),
    )


def _write(ring: Array, place: Int[Array, " n"], values: Array) -> Array:
    return ring.at[place].set(values.astype(ring.dtype), mode="drop")


def check_memory(
    name: str, memory: Memory | None, embeddings: Float[Array, "n d"]
) -> None:
    """Raises ValueError unless `memory` is None or holds embeddings of that size."""
    if memory is None:
        return
    if not isinstance(memory, Memory):
        kind = type(memory).__name__
        raise ValueError(f"{name}: `memory` must come from `init_memory`, got a {kind}")
    held, given = memory.embeddings.shape[-1], embeddings.shape[1]
    if held != given:
        raise ValueError(
            f"{name}: `memory` must hold embeddings of {given} numbers, as the batch "
            f"has, got {held}"
        )
