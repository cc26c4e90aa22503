"""From chosen triplets to a loss: what all ways to mine share."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int

from jml.pairwise import ClassRuns, Pairs, Rows, find_class_runs

T = TypeVar("T")


class Penalty(NamedTuple):
    """What a triplet adds, a function of ``S_ap - S_an + margin``, and its slope."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]


def hinge_slope(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The derivative of ``[x]+``: 1 above 0, one half at 0, 0 below."""
    return (jnp.sign(x) + 1) / 2


def softplus(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """log(1 + e^x)."""
    return jnp.logaddexp(x, 0)


HINGE = Penalty(lambda x: jnp.maximum(x, 0), hinge_slope)
SMOOTH = Penalty(softplus, jax.nn.sigmoid)


class Options(NamedTuple):
    """The static options of a triplet loss."""

    paper: bool  # textbook pairs; otherwise an anchor is its own positive, too
    smooth: bool
    swap: bool
    count_active: bool  # for the mean over triplets above 0

    @property
    def penalty(self) -> Penalty:
        """The hinge, or its smooth version."""
        return SMOOTH if self.smooth else HINGE


class Mined(NamedTuple):
    """What the chosen triplets of some anchors add up to."""

    pair_gradients: Float[Array, "b n"]  # of the total by each squared distance
    slopes: Float[Array, " b"]  # of the total by the margin
    total: Float[Array, " b"]
    number: Float[Array, " b"]  # of triplets
    active: Float[Array, " b"]  # of triplets above 0


class OnePositive(NamedTuple):
    """One positive for each anchor."""

    position: Int[Array, " b"]  # its column
    squared: Float[Array, " b"]  # its squared distance
    valid: Bool[Array, " b"]  # False where the anchor has no such positive
    weight: Float[Array, " b"]


# Of rows, their positives, the margin and the options. It is a `Partial` with arrays.
Mine = Callable[[Rows, Bool[Array, "b n"], Float[Array, ""], Options], Mined]


def triplet_terms(
    rows: Rows, *, margin: Float[Array, ""], mine: Mine, options: Options
) -> tuple[Float[Array, " b"], Float[Array, " b"], Float[Array, " b"]]:
    """Sum and number of each anchor's triplets, and the number of those above 0.

    `mine` makes the gradient of the sum together with the sum, so this brings its own
    rule of differentiation. JAX can differentiate the rule once more.
    """
    positive = positives_of(rows, options)

    arrays, tree = jax.tree.flatten((rows, positive, mine))

    def mined(squared, margin, *arrays) -> Mined:
        rows, positive, mine = jax.tree.unflatten(tree, arrays)
        found = mine(replace(rows, values=squared), positive, margin, options)
        if options.smooth or options.swap:
            return found
        # The sum of the active hinges is linear in the distances and the margin.
        linear = jnp.sum(found.pair_gradients * squared, axis=1)
        return found._replace(total=linear + margin * found.slopes)

    # All arrays are arguments, because JAX may trace the rule later, where an array of
    # this function is out of reach.
    @jax.custom_jvp
    def total(squared, margin, *arrays):
        return mined(squared, margin, *arrays).total

    @total.defjvp
    def _(primals, tangents):
        found = mined(*primals)
        by_squared, by_margin = tangents[:2]
        along = jnp.sum(found.pair_gradients * by_squared, axis=1)
        return found.total, along + found.slopes * by_margin

    arrays = jax.lax.stop_gradient(arrays)
    still = mined(*jax.lax.stop_gradient((rows.squared, margin)), *arrays)
    return total(rows.squared, margin, *arrays), still.number, still.active


def positives_of(rows: Rows, options: Options) -> Bool[Array, "b n"]:
    """What counts as a positive of each anchor."""
    if options.paper:
        return rows.positive & jnp.any(rows.negative, axis=1)[:, None]
    return rows.positive_or_self


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
        weight = jnp.ones_like(rows.squared[:, 0])
        if rows.weight is not None:
            weight = rows.weight[row, column]
        return add(carry, OnePositive(column, rows.squared[row, column], valid, weight))

    turns = jnp.where(unless, 0, jnp.max(positives.size, initial=0))
    return jax.lax.fori_loop(0, turns, turn, start)


def no_triplets(rows: Rows, number: Float[Array, " b"]) -> Mined:
    """To add triplets to."""
    none = jnp.zeros_like(rows.squared[:, 0])
    return Mined(jnp.zeros_like(rows.squared), none, none, number, none)
