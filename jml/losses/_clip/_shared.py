"""What both denominators share."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jml.pairwise import (
    Plan,
    Rows,
    Side,
    mined_rows,
    psum,
    pvary_like,
    scan_blocks,
    split_rows,
)

S = TypeVar("S")


def map_both_sides(
    function: Callable[[Rows], tuple[Float[Array, " b"], S]],
    zeros: S,
    anchors: Side,
    references: Side,
    plan: Plan,
) -> tuple[Float[Array, " b"], S]:
    """What a function says of each anchor, and sums of what it says of each reference.

    JAX can differentiate it. The rows are made anew for that, not kept.

    Args:
        function: of rows. It returns an array with an entry for each anchor, and arrays
            with one for each reference, which are summed over all anchors.
        zeros: of the shapes of the latter.
        anchors: those of this device.
        references: those of all devices.
        plan: how rows are made.
    """

    @jax.checkpoint
    def of_block(sums: S, block: Side):
        by_anchor, more = function(mined_rows(block, references, plan))
        return jax.tree.map(jnp.add, sums, more), by_anchor

    sizes = split_rows(len(anchors.position), len(references.position), plan)
    start = pvary_like(anchors, zeros)
    sums, by_anchor = scan_blocks(of_block, start, anchors, **sizes)
    return by_anchor, psum(sums, plan.axis_name)


def scores(
    rows: Rows, *, scale: Float[Array, ""]
) -> tuple[Float[Array, "b n"], Bool[Array, "b n"]]:
    """The logarithm of each pair's part of a denominator, and which pairs have one.

    A positive's weight counts in its own term alone, as in SupCon.
    """
    return scale * rows.similarity, rows.positive | rows.negative


def shares(
    z: Float[Array, "b n"], pairs: Bool[Array, "b n"], log_sums: Float[Array, "#b #n"]
) -> Float[Array, "b n"]:
    """Each pair's share of a sum whose logarithm is at hand; 0 of other entries.

    It is at most 1, also where two roundings of a large z differ.
    """
    log_share = jnp.where(pairs, z - log_sums, -jnp.inf)
    excess = jax.lax.stop_gradient(jnp.maximum(log_share, 0))
    return jnp.exp(log_share - excess)


@jax.custom_jvp
def move(
    z: Float[Array, "b n"],
    pairs: Bool[Array, "b n"],
    log_sums: Float[Array, "#b #n"],
    weight: Float[Array, "#b #n"],
) -> Float[Array, " b"]:
    """0 for each row, which changes as weighted log-sums do, counted elsewhere.

    The derivative of a log-sum by an entry is the entry's share of the sum. Its own
    derivative takes the log-sums along, so second derivatives are right.
    """
    return pvary_like((z, log_sums, weight), jnp.zeros(len(z), z.dtype))


@move.defjvp
def _(primals, tangents):
    z, pairs, log_sums, weight = primals
    by_z = weight * shares(z, pairs, log_sums)
    return move(*primals), jnp.sum(by_z * tangents[0], axis=1)
