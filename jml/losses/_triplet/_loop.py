"""Loops over the positives of each anchor, whose number is known at run time only."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int

from jml.pairwise import ClassRuns, Pairs, Rows, find_class_runs

T = TypeVar("T")


class OnePositive(NamedTuple):
    """One positive for each anchor."""

    position: Int[Array, " b"]  # its column
    length: Float[Array, " b"]  # its distance, squared or not
    valid: Bool[Array, " b"]  # False where the anchor has no such positive
    weight: Float[Array, " b"]


class PositiveOrder(NamedTuple):
    """The positives of some anchors, one after the other."""

    order: Int[Array, " n"] | Int[Array, "b n"]  # columns
    first: Int[Array, " b"]  # where those of an anchor begin
    size: Int[Array, " b"]

    def at(self, k: Int[Array, ""]) -> Int[Array, " b"]:
        """The column of each anchor's k-th positive, counted from 0."""
        if self.order.ndim == 1:
            return self.order.at[self.first + k].get(mode="clip")
        return jax.lax.dynamic_index_in_dim(self.order, k, axis=1, keepdims=False)


# For the anchors of some rows.
FindPositives = Callable[[Rows], PositiveOrder]


def find_positives(pairs: Pairs) -> FindPositives:
    """How to go through the positives of an anchor, itself among them.

    Where items have one label each, they are sorted by it once. With relations, each
    row is sorted.
    """
    if not pairs.labelled:
        return Partial(_sort_row)
    runs = find_class_runs(pairs.anchors, pairs.references)
    return Partial(_of_runs, runs, pairs.anchors.position[0])


def _of_runs(runs: ClassRuns, start: Int[Array, ""], rows: Rows) -> PositiveOrder:
    anchor = rows.anchor[:, 0] - start
    return PositiveOrder(runs.order, runs.first[anchor], runs.size[anchor])


def _sort_row(rows: Rows) -> PositiveOrder:
    order = jnp.argsort(~rows.positive_or_self, axis=1, stable=True)
    size = jnp.sum(rows.positive_or_self, axis=1)
    return PositiveOrder(order, jnp.zeros_like(size), size)


def loop_over_positives(
    rows: Rows,
    positive: Bool[Array, "b n"],
    positives: PositiveOrder,
    add: Callable[[T, OnePositive], T],
    start: T,
    unless: bool | Bool[Array, ""] = False,
) -> T:
    """What `add` makes of `start` with each positive of each anchor, one by one.

    Args:
        rows: the rows.
        positive: which of their pairs count as positive.
        positives: of these anchors. How many there are is known at run time only.
        add: adds the triplets with one positive of each anchor.
        start: to add to.
        unless: True for no turn at all.
    """
    has_negative = jnp.any(rows.negative, axis=1)

    def turn(k, carry: T) -> T:
        column = positives.at(k)
        row = jnp.arange(len(column))
        valid = has_negative & (k < positives.size) & positive[row, column]
        weight = jnp.ones_like(rows.values[:, 0])
        if rows.weight is not None:
            weight = rows.weight[row, column]
        return add(carry, OnePositive(column, rows.values[row, column], valid, weight))

    turns = jnp.where(unless, 0, jnp.max(positives.size, initial=0))
    return jax.lax.fori_loop(0, turns, turn, start)
