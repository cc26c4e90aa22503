"""All triplets from sorted rows, for anchors with many positives."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jml.pairwise import scan_blocks

PARTS = 16  # of the rows, one after the other: sorting needs room for several copies


def sorted_gradients(
    squared: Float[Array, "b n"],
    positive: Bool[Array, "b n"],
    negative: Bool[Array, "b n"],
    margin: Float[Array, ""],
) -> tuple[Float[Array, "b n"], Float[Array, " b"]]:
    """The pair gradients of each row and its active triplets, by sorting it once."""
    size = -(-len(squared) // PARTS)
    return scan_blocks(
        lambda _, part: (None, jax.vmap(_of_row, (0, 0, 0, None))(*part, margin)),
        None,
        (squared, positive, negative),
        blocks=-(-len(squared) // size),
        size=size,
    )[1]


def _of_row(
    squared: Float[Array, " n"],
    positive: Bool[Array, " n"],
    negative: Bool[Array, " n"],
    margin: Float[Array, ""],
) -> tuple[Float[Array, " n"], Float[Array, ""]]:
    """The pair gradients of one row, and the number of its active triplets.

    A triplet is active where the negative stands before ``S_ap + margin`` in the sorted
    row, and half active where both are equal. So running counts of positives and of
    negatives are enough. The gradient by a positive's distance is the number of
    negatives before it, that by a negative's distance is minus the number of positives
    behind it.
    """
    value = jnp.where(positive, squared + margin, squared)
    value = jnp.where(positive | negative, value, jnp.inf)
    # Twice the column, plus one for a positive: one array to sort along instead of two.
    place = 2 * jnp.arange(len(value), dtype=jnp.int32) + positive
    value, place, negative = jax.lax.sort((value, place, negative), num_keys=1)
    positive = place % 2 == 1
    ranks = _mid_ranks(jnp.stack([positive, negative]), value)
    before, behind = ranks[1], jnp.sum(positive) - ranks[0]
    counts = jnp.where(positive, before, jnp.where(negative, -behind, 0))
    gradients = jnp.zeros_like(value).at[place // 2].set(counts, unique_indices=True)
    return gradients, jnp.sum(jnp.where(positive, before, 0))


def _mid_ranks(
    masks: Bool[Array, "k n"], values: Float[Array, " n"]
) -> Float[Array, "k n"]:
    """The number of True before each entry; those among its equals count half.

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
