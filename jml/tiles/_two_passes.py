"""Two passes over tiles of classes: the sums of each row, and the gradient.

The first pass adds up what a loss needs of each item's row. The formula makes a loss of
these sums, and says how it changes with each. The second pass makes each tile once more
and multiplies. So nothing as large as the matrix is ever kept, and a device that holds
a part of the classes has to tell the others its sums alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from jml.pairwise import AxisName, pvary_like

from ._cut import Cut, fold, no_gradient, put, take
from ._statistics import (
    Statistics,
    add,
    add_devices,
    nothing,
    slopes_of_entries,
    sum_entries,
)
from ._tile import Items, Tile, make_tile, slopes_by_both, unit_centers

T = TypeVar("T")
Numbers = dict[str, Any]  # arrays by name: scalars, and those with one for each item


class Formula(NamedTuple):
    """A loss of class weights, as two functions.

    ``elements(tile, **numbers)`` returns the entries of a tile that enter sums over an
    item's row. ``finish(sums, **numbers)`` returns each item's loss and the number of
    its terms, from the sums over all classes; that number passes no gradient. The
    `measure` says what tiles hold: "product" (cosines) or "squared" (distances).
    ``assign(sums, each)``, if it is there, deals the items' own numbers out anew, once
    the sums are known: both are of the items of all devices. It passes no gradient.
    """

    elements: Callable[..., Statistics]
    finish: Callable[..., tuple[Float[Array, " b"], Float[Array, " b"]]]
    measure: str = "product"
    assign: Callable[..., Numbers] | None = None


class Classes(NamedTuple):
    """Class weights, and the label that each row stands for: below 0 none."""

    weights: Float[Array, "c *k d"]
    classes: Integer[Array, " c"]


class Slopes(NamedTuple):
    """How the loss changes with all that it depends on, as far as this device knows."""

    items: Float[Array, "b d"]
    weights: Float[Array, "c *k d"]
    numbers: Numbers


def sum_rows_of_classes(
    formula: Formula,
    items: Items,
    classes: Classes,
    numbers: Numbers,
    cut: Cut,
    axis_name: AxisName,
) -> Statistics:
    """The sums over all classes, those of other devices included.

    Args:
        formula: of the loss.
        items: the batch.
        classes: those of this device.
        numbers: scalars by name.
        cut: how the classes are cut into tiles.
        axis_name: of the mapped axis over which classes are spread.
    """

    def entries(turn: Any) -> Statistics:
        tile = tile_of(formula.measure, items, classes, cut, turn)
        return sum_entries(formula.elements(tile, **numbers))

    start = nothing(jax.eval_shape(lambda: entries(0)))
    example = items.embeddings, classes.weights
    found = fold(lambda sums, turn: add(sums, entries(turn)), start, cut, example)
    return add_devices(found, axis_name)


def tile_of(measure: str, items: Items, classes: Classes, cut: Cut, turn: Any) -> Tile:
    """Tile number `turn`."""
    part = take(*classes, cut, turn)
    centers = unit_centers(part.weights, items.embeddings.dtype)
    return make_tile(items, centers, part, measure)


def slopes_by_entries(
    formula: Formula,
    items: Items,
    classes: Classes,
    numbers: Numbers,
    cut: Cut,
    sums: Statistics,
    slopes: Statistics,
) -> Slopes:
    """The gradient through the entries of all tiles.

    Args:
        formula: of the loss.
        items: the batch.
        classes: those of this device.
        numbers: scalars by name.
        cut: how the classes are cut into tiles.
        sums: from `sum_rows_of_classes`.
        slopes: how the loss changes with each of these.
    """

    def pull(tile: Tile, numbers: Numbers):
        def elements(values, centers, numbers):
            seen = tile._replace(values=values, centers=centers)
            return formula.elements(seen, **numbers)

        entries, back = jax.vjp(elements, tile.values, tile.centers, numbers)
        return (), back(slopes_of_entries(entries, sums, slopes))

    return pull_tiles(pull, formula.measure, items, classes, numbers, cut, ())[1]


def pull_tiles(
    pull: Callable[[Tile, Numbers], tuple[T, Any]],
    measure: str,
    items: Items,
    classes: Classes,
    numbers: Numbers,
    cut: Cut,
    total: T,
) -> tuple[T, Slopes]:
    """Adds up what all tiles give, and the gradient by items and weights.

    Args:
        pull: of a tile and the numbers: what to add to the total, and the gradient by
            the tile's values, its centers and the numbers.
        measure: of the tiles.
        items: the batch.
        classes: those of this device.
        numbers: scalars by name.
        cut: how the classes are cut into tiles.
        total: of no tile.
    """
    x = items.embeddings

    def add_tile(carry: tuple[T, Slopes], turn: Any) -> tuple[T, Slopes]:
        total, found = carry
        part = take(*classes, cut, turn)
        weights = pvary_like(x, part.weights)
        centers, to_weights = jax.vjp(lambda w: unit_centers(w, x.dtype), weights)
        tile = make_tile(items, centers, part, measure)
        more, (by_values, by_centers, by_numbers) = pull(tile, numbers)
        by_items, through_values = slopes_by_both(
            items, centers, tile.values, by_values, measure
        )
        (by_part,) = to_weights(jax.tree.map(jnp.add, by_centers, through_values))
        found = Slopes(
            found.items + by_items,
            put(found.weights, by_part, cut, turn),
            jax.tree.map(jnp.add, found.numbers, by_numbers),
        )
        return jax.tree.map(jnp.add, total, more), found

    start = jax.tree.map(jnp.zeros_like, Slopes(x, classes.weights, numbers))
    start = total, start._replace(weights=no_gradient(classes.weights, cut))
    total, found = fold(add_tile, start, cut, (x, classes.weights))
    by_weights = found.weights.reshape(classes.weights.shape)
    return total, found._replace(weights=by_weights)
