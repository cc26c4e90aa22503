"""All triplets from sorted rows, for anchors with many positives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jml.pairwise._blocks import scan_blocks
from jml.pairwise._rows import Rows

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
    ranks = _mid_ranks(jnp.stack([positive, negative]), value)
    below, behind = ranks[1], jnp.sum(positive) - ranks[0]
    counts = jnp.where(positive, below, jnp.where(negative, -behind, 0))
    weights = jnp.zeros_like(value).at[place // 2].set(counts, unique_indices=True)
    return weights, jnp.sum(jnp.where(positive, below, 0))


def _mid_ranks(
    masks: Bool[Array, "k n"], values: Float[Array, " n"]
) -> Float[Array, "k n"]:
    """The True before each entry, those among its equals counted half.

    Args:
        masks: what is counted.
        values: in ascending order.
    """
    differs, end = values[1:] != values[:-1], jnp.ones(1, bool)
    first, last = jnp.append(end, differs), jnp.append(differs, end)
    upto = jnp.cumsum(masks, axis=1, dtype=jnp.int32)
    before = jax.lax.cummax(jnp.where(first, upto - masks, 0), axis=1)
    until = jax.lax.cummin(jnp.where(last, upto, len(values)), axis=1, reverse=True)
    return (before + until).astype(values.dtype) / 2
