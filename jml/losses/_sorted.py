"""All triplets from sorted rows, for anchors with many positives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..pairwise import Rows
from ..plan import scan_blocks

PARTS = 16  # of the rows, one after the other: sorting needs room for several copies


def sorted_weights(
    rows: Rows, margin
) -> tuple[Float[Array, "b n"], Float[Array, " b"]]:
    """The weights of each row, and its active triplets, by sorting it once."""
    size = -(-len(rows.squared) // PARTS)
    return scan_blocks(
        lambda _, part: (None, jax.vmap(_weights, (0, 0, 0, None))(*part, margin)),
        None,
        (rows.squared, rows.positive, rows.negative),
        blocks=-(-len(rows.squared) // size),
        size=size,
    )[1]


def _weights(
    squared: Float[Array, " n"],
    positive: Bool[Array, " n"],
    negative: Bool[Array, " n"],
    margin,
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """How many active triplets each entry of one row is in, and how many there are.

    A triplet is active where the negative stands before ``S_ap + margin`` in the sorted
    row, and half active where both are equal. So running counts of positives and of
    negatives say all: a positive has the negatives before it as its weight, a negative
    minus the positives behind it.
    """
    value = jnp.where(positive, squared + margin, squared)
    value = jnp.where(positive | negative, value, jnp.inf)
    # What is sorted along: twice the column, plus one for a positive.
    place = 2 * jnp.arange(len(value), dtype=jnp.int32) + positive
    value, place, negative = jax.lax.sort((value, place, negative), num_keys=1)
    positive = place % 2 == 1
    first = jnp.concatenate([jnp.ones(1, bool), value[1:] != value[:-1]])
    below = _mid_ranks(negative, first, value.dtype)
    behind = jnp.sum(positive) - _mid_ranks(positive, first, value.dtype)
    counts = jnp.where(positive, below, jnp.where(negative, -behind, 0))
    weights = jnp.zeros_like(value).at[place // 2].set(counts, unique_indices=True)
    return weights, jnp.sum(jnp.where(positive, below, 0))


def _mid_ranks(
    mask: Bool[Array, " n"], first: Bool[Array, " n"], dtype: jnp.dtype
) -> Float[Array, " n"]:
    """The True before each entry, those in its run of equals counted half.

    Args:
        mask: what is counted.
        first: where a run of equal values begins.
        dtype: of the result, a float.
    """
    upto = jnp.cumsum(mask, dtype=jnp.int32)
    start = jax.lax.cummax(jnp.where(first, upto - mask, 0))
    last = jnp.concatenate([first[1:], jnp.ones(1, bool)])
    end = jax.lax.cummin(jnp.where(last, upto, len(mask)), reverse=True)
    return (start + end).astype(dtype) / 2
