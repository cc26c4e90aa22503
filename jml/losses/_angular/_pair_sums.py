"""Sums over the positive pairs of each anchor, each with all of its negatives."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml.distances import inner_products
from jml.pairwise import (
    Hyperparameters,
    Pairs,
    Plan,
    Rows,
    Side,
    Sums,
    Terms,
    linearize,
    mined_rows,
    pvary_like,
    scan_blocks,
    split_rows,
    transposed_product,
)


def angular_sums(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """Sums over all positive pairs."""
    sums = sum_turns(terms, pairs.anchors, pairs.references, hyperparameters, plan)
    return sums._replace(total=jnp.sum(sums.total), number=jnp.sum(sums.number))


def angular_means(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Float[Array, " b"]:
    """Each anchor's mean over its positive pairs.

    JAX differentiates no loop whose number of turns is known at run time only, so this
    brings its own rule: the gradient of a weighted sum of the anchors' means.
    """
    static = plan._replace(miner=None)

    def sums_of(x, y, hyperparameters, data, factors=None) -> Sums:
        anchors, references, miner = data
        anchors = anchors._replace(embeddings=x)
        references = references._replace(embeddings=y)
        made = static._replace(miner=miner)
        return sum_turns(terms, anchors, references, hyperparameters, made, factors)

    @jax.custom_vjp
    def means(x, y, hyperparameters, data):
        return forward(x, y, hyperparameters, data)[0]

    def forward(x, y, hyperparameters, data):
        sums = sums_of(x, y, hyperparameters, data)
        numbers = jnp.maximum(sums.number, 1)
        return sums.total / numbers, (x, y, hyperparameters, data, numbers)

    def backward(kept, slopes):
        x, y, hyperparameters, data, numbers = kept
        sums = sums_of(x, y, hyperparameters, data, slopes / numbers)
        return sums.by_anchors, sums.by_references, sums.by_hyperparameters, None

    means.defvjp(forward, backward)
    anchors, references = pairs.anchors, pairs.references
    data = jax.lax.stop_gradient((anchors, references, plan.miner))
    return means(anchors.embeddings, references.embeddings, hyperparameters, data)


class _Turn(NamedTuple):
    """What the turns of a block have summed, and where each anchor has got to."""

    column: Int[Array, " b"]  # of the last positive
    sums: Sums


def sum_turns(
    terms: Terms,
    anchors: Side,
    references: Side,
    hyperparameters: Hyperparameters,
    plan: Plan,
    factors: Float[Array, " b"] | None = None,
) -> Sums:
    """Sums over the positive pairs, with an entry for each anchor.

    Args:
        terms: of one positive pair of each anchor.
        anchors: of the rows.
        references: what the anchors are compared with.
        hyperparameters: by name.
        plan: how many rows at once.
        factors: of each anchor's terms, in the gradients; 1 by default.
    """
    y = references.embeddings
    factors = jnp.ones_like(anchors.embeddings[:, 0]) if factors is None else factors

    def add(carry, part: tuple[Side, Float[Array, " b"]]):
        sums = sum_block(terms, *part, references, hyperparameters, plan)
        more = sums.by_hyperparameters, sums.by_references
        return jax.tree.map(jnp.add, carry, more), (
            sums.total,
            sums.number,
            sums.by_anchors,
        )

    zeros = jax.tree.map(jnp.zeros_like, (hyperparameters, y))
    sizes = split_rows(len(anchors.position), len(references.position), plan)
    (by_hyperparameters, by_references), (total, number, by_anchors) = scan_blocks(
        add, pvary_like(anchors, zeros), (anchors, factors), **sizes
    )
    return Sums(total, number, by_hyperparameters, by_anchors, by_references)


def sum_block(
    terms: Terms,
    anchors: Side,
    factors: Float[Array, " b"],
    references: Side,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Sums:
    """One positive of each anchor in each turn."""
    rows = mined_rows(anchors, references, plan)
    positive, x, y = rows.positive, anchors.embeddings, references.embeddings

    def add(_, turn: _Turn) -> _Turn:
        column = next_true(positive, turn.column)
        other = y.at[column].get(mode="clip")
        numbers = {
            **hyperparameters,
            "along": jnp.sum(x * other, axis=1),
            "share": factors * weight_of(rows, column),
        }
        both = replace(rows, values=inner_products(x + other, y))
        total, number, by_products, by = linearize(terms, both, numbers, anchors)
        along = by.pop("along")[:, None]
        del by["share"]
        by_both = inner_products(by_products, y.T)
        by_y = transposed_product(by_products, x + other)
        by_y = by_y.at[column].add(by_both + along * x, mode="drop")
        more = Sums(total, number, by, by_both + along * other, by_y)
        return _Turn(column, jax.tree.map(jnp.add, turn.sums, more))

    none = jnp.zeros_like(x[:, 0])
    start = Sums(none, none, hyperparameters, x, y)
    start = pvary_like(anchors, jax.tree.map(jnp.zeros_like, start))
    before = pvary_like(anchors, jnp.full(len(x), -1))
    turns = jnp.max(jnp.sum(positive, axis=1), initial=0)
    return jax.lax.fori_loop(0, turns, add, _Turn(before, start)).sums


def next_true(mask: Bool[Array, "b n"], column: Int[Array, " b"]) -> Int[Array, " b"]:
    """The column of each row's next True behind a column, n without one."""
    columns = jnp.arange(mask.shape[1])[None, :]
    behind = mask & (columns > column[:, None])
    return jnp.min(jnp.where(behind, columns, mask.shape[1]), axis=1)


def weight_of(rows: Rows, column: Int[Array, " b"]) -> Float[Array, " b"]:
    """The weight of the positive in a column of each row, 0 beyond the last column."""
    valid = column < rows.values.shape[1]
    if rows.weight is None:
        return valid.astype(rows.values.dtype)
    weight = jnp.take_along_axis(rows.weight, column[:, None], axis=1, mode="clip")
    return jnp.where(valid, weight[:, 0], 0)
