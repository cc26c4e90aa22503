"""A memory of earlier batches: more references than the batch itself has."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer

from jml._checks import (
    as_array,
    check_array,
    check_count,
    check_kind,
    check_length,
)
from jml._label_checks import check_alike, check_batch, check_labels
from jml._numerics import saturating_cast

from ._devices import on_auto_axes


class Memory(NamedTuple):
    """The latest embeddings and their labels, in a ring."""

    embeddings: Float[Array, "m d"]
    labels: Integer[Array, " m"] | Bool[Array, "m l"]
    filled: Bool[Array, " m"]  # False for places that nothing was written to yet
    next: Int[Array, ""]  # the place to write to next


def init_memory(
    size: int, dim: int, *, dtype=jnp.float32, num_labels: int | None = None
) -> Memory:
    """An empty memory for `size` embeddings.

    Args:
        size: the number of embeddings that the memory holds.
        dim: the length of an embedding.
        dtype: the dtype in which embeddings are kept.
        num_labels: the number L of labels where these are booleans [B, L]. By default
            each embedding has one integer.

    Returns:
        The memory. A loss skips the places that nothing was written to yet.

    Raises:
        ValueError: for a size, dimension or number of labels that is not a positive
            integer, for a dtype that is not a float, and for float64 without
            jax_enable_x64.

    Example:
        >>> init_memory(4096, 128).embeddings.shape
        (4096, 128)
    """
    check_count("init_memory", "size", size)
    check_count("init_memory", "dim", dim)
    if not _is_float(dtype):
        raise ValueError(
            "init_memory: `dtype` must be a float, such as jnp.bfloat16, or "
            f"jnp.float64 with jax_enable_x64, got {dtype!r}"
        )
    return Memory(
        jnp.zeros((size, dim), dtype),
        jnp.zeros(size, int)
        if num_labels is None
        else jnp.zeros((size, num_labels), bool),
        jnp.zeros(size, bool),
        jnp.zeros((), jnp.int32),
    )


def _is_float(dtype) -> bool:
    if dtype is None:
        return False
    try:
        kind = jnp.dtype(dtype)
    except TypeError:
        return False
    kept = kind == jax.dtypes.canonicalize_dtype(kind)
    return kept and jnp.issubdtype(kind, jnp.floating)


def update_memory(
    memory: Memory,
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Integer[Array | np.ndarray, " n"] | Bool[Array | np.ndarray, "n l"],
    *,
    where: Bool[Array | np.ndarray, " n"] | None = None,
) -> Memory:
    """Writes a batch over the oldest embeddings.

    Of a batch longer than the memory the last embeddings are kept. Update the memory
    after the loss of a batch, so that no embedding is compared with its own copy. What
    is kept passes no gradient. With `jax.shard_map`, call this outside of it and under
    the same `jit`.

    Args:
        memory: from `init_memory` or an earlier update.
        embeddings: the batch.
        labels: its classes.
        where: False for items that are not to be kept, such as those with a NaN.

    Returns:
        The new memory. `memory` itself is unchanged.

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
    embeddings, labels, where = check_batch("update_memory", embeddings, labels, where)
    memory = check_memory("update_memory", memory, embeddings)
    kept, new = (
        jax.dtypes.canonicalize_dtype(a.dtype) for a in (memory.labels, labels)
    )
    check_alike("update_memory", "labels", labels, memory.labels, "those of the memory")
    if not np.can_cast(new, kept):
        raise ValueError(
            f"update_memory: `labels` must fit the memory's {kept}, got {new}"
        )
    return _update(memory, embeddings, labels, where)


@jax.jit
def _update(memory, embeddings, labels, where):
    return on_auto_axes(_write_batch, memory, embeddings, labels, where)


def _write_batch(
    memory: Memory,
    embeddings: Float[Array, "n d"],
    labels: Integer[Array, " n"] | Bool[Array, "n l"],
    where: Bool[Array, " n"] | None,
) -> Memory:
    size = len(memory.labels)
    where = jnp.ones(len(labels), bool) if where is None else where
    # The k-th item to keep goes k places behind the next one. Items that are not kept,
    # or that a later one of this batch would overwrite, get a place beyond the ring:
    # `mode="drop"` ignores it.
    rank = jnp.cumsum(where) - 1
    number = jnp.sum(where)
    last = where & (rank >= number - size)
    place = jnp.where(last, (memory.next + rank) % size, size)
    embeddings = saturating_cast(
        jax.lax.stop_gradient(embeddings), memory.embeddings.dtype
    )
    return Memory(
        memory.embeddings.at[place].set(embeddings, mode="drop"),
        memory.labels.at[place].set(labels.astype(memory.labels.dtype), mode="drop"),
        memory.filled.at[place].set(True, mode="drop"),
        ((memory.next + number) % size).astype(jnp.int32),
    )


def check_memory(
    name: str, memory: Any, embeddings: Float[Array | np.ndarray, "n d"]
) -> Memory:
    """Raises ValueError unless `memory` is one that fits these embeddings.

    Returns:
        The memory, as plain arrays.
    """
    memory = as_array(memory)  # a variable of Flax may hold it
    if not isinstance(memory, Memory):
        kind = "None" if memory is None else f"a {type(memory).__name__}"
        raise ValueError(f"{name}: `memory` must come from `init_memory`, got {kind}")
    memory = Memory(*map(as_array, memory))
    check_array(name, "memory.embeddings", memory.embeddings, shape="[M, D]", ndim=2)
    length, expected = memory.embeddings.shape[1], embeddings.shape[1]
    if length != expected:
        raise ValueError(
            f"{name}: `memory` must hold embeddings of {expected} numbers, as the "
            f"batch has, got {length}"
        )
    check_kind(name, "memory.embeddings", memory.embeddings, jnp.floating, "floating")
    check_array(name, "memory.next", memory.next, shape="[]", ndim=0)
    check_kind(name, "memory.next", memory.next, jnp.integer, "integer")
    size = len(memory.embeddings)
    check_labels(name, "memory.labels", memory.labels, size)
    check_array(name, "memory.filled", memory.filled, shape="[M]", ndim=1)
    check_kind(name, "memory.filled", memory.filled, jnp.bool_, "boolean")
    check_length(name, "memory.filled", memory.filled, size)
    return memory
