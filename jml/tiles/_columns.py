"""Losses of classes: each class and all items, which is a column of their matrix.

A tile has the whole column of each of its classes. So one pass makes value and gradient
together. Where items are spread over devices that share their classes, each device gets
all items and takes a part of these classes.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from jml._numerics import inverse
from jml.pairwise import AxisName, count_devices, psum, pvary_like

from ._cut import Cut, fold
from ._inputs import Data, Inputs, Setting, names_of_classes, sides_of, with_gradient
from ._spread import Spread, sum_over_classes
from ._tile import Items, Tile
from ._two_passes import Classes, Numbers, Slopes, pull_tiles, tile_of

# Of each part totals, and numbers of terms: booleans for 0 or 1.
Parts = Sequence[tuple[Float[Array, " t"], Shaped[Array, " t"]]]


class Columns(NamedTuple):
    """A loss of class weights, as a function of each class and all items.

    ``terms(tile, **numbers)`` returns a total and a number of terms for each class of
    the tile: a list with such a pair for each part of the loss. The loss is the sum of
    the parts' means. Numbers of terms must depend on `tile.own` and `tile.other` alone.
    The `measure` says what tiles hold: "product" (cosines) or "squared" (distances).
    """

    terms: Callable[..., Parts]
    measure: str = "product"


def columns_loss(
    formula: Columns, inputs: Inputs, data: Data, setting: Setting
) -> Float[Array, ""]:
    """The sum of the parts' means, 0 without any term, that JAX can differentiate."""
    spread = setting.spread
    # As if classes were spread over all devices that have other items.
    whole = Spread(spread.batch, (*spread.classes, *(spread.batch_alone or ())))

    def value_and_gradient(inputs, data):
        names = names_of_classes(inputs, data, spread)
        mine, start = _part_of_device(inputs.weights, names, spread.batch_alone)
        items, classes, cut = sides_of(
            inputs._replace(weights=mine.weights),
            data._replace(classes=mine.classes),
            setting._replace(spread=whole),
        )
        given = items.embeddings, classes.weights
        scalars = pvary_like(given, inputs.scalars)
        numbers = psum(_count(formula, items, classes, scalars, cut), whole.all)
        scales = pvary_like(given, inverse(numbers))
        total, found = _sum_tiles(formula, items, classes, scalars, cut, scales)
        by_weights = found.weights
        if spread.batch_alone is not None:
            by_weights = jnp.zeros_like(inputs.weights, by_weights.dtype)
            by_weights = jax.lax.dynamic_update_slice_in_dim(
                pvary_like(given, by_weights), found.weights, start, 0
            )
            by_weights = psum(by_weights, spread.batch_alone)
        gradient = Inputs(
            sum_over_classes(found.items, whole),
            by_weights,
            psum(found.numbers, whole.all),
            {},
        )
        return psum(total, whole.all), gradient

    return with_gradient(value_and_gradient, inputs, data, spread)


def _part_of_device(weights: Any, names: Any, axis_name: AxisName):
    """Of classes that several devices have, those that this one takes; and the first.

    Parts are equally long. The last ones may begin too early: there the classes of
    other devices have no name, so that they count once.
    """
    if axis_name is None:
        return Classes(weights, names), 0
    size = -(-len(weights) // count_devices(axis_name))
    first = jax.lax.axis_index(axis_name) * size
    start = jnp.minimum(first, len(weights) - size)
    weights, names = (
        jax.lax.dynamic_slice_in_dim(array, start, size) for array in (weights, names)
    )
    return Classes(
        weights, jnp.where(start + jnp.arange(size) < first, -1, names)
    ), start


def _count(
    formula: Columns, items: Items, classes: Classes, scalars: Numbers, cut: Cut
) -> Float[Array, " p"]:
    """The number of terms of each part. XLA makes no products for it."""

    def numbers(turn: Any) -> Float[Array, " p"]:
        tile = tile_of(formula.measure, items, classes, cut, turn)
        parts = formula.terms(tile, **scalars)
        counts = [jnp.sum(number, dtype=total.dtype) for total, number in parts]
        return jax.lax.stop_gradient(jnp.stack(counts))

    shape = jax.eval_shape(lambda: numbers(0))
    start, example = jnp.zeros(shape.shape, shape.dtype), (items.embeddings, *classes)
    return fold(lambda found, turn: found + numbers(turn), start, cut, example)


def _sum_tiles(
    formula: Columns,
    items: Items,
    classes: Classes,
    scalars: Numbers,
    cut: Cut,
    scales: Float[Array, " p"],
) -> tuple[Float[Array, ""], Slopes]:
    """The total of all parts, each times its scale, and the total's gradient."""

    def pull(tile: Tile, scalars: Numbers):
        def sum_terms(values, centers, scalars):
            seen = tile._replace(values=values, centers=centers)
            parts = formula.terms(seen, **scalars)
            return jnp.stack([jnp.sum(totals) for totals, _ in parts]) @ scales

        value, back = jax.vjp(sum_terms, tile.values, tile.centers, scalars)
        return value, back(jnp.ones_like(value))

    zero = jnp.zeros_like(scales[0])
    return pull_tiles(pull, formula.measure, items, classes, scalars, cut, zero)
