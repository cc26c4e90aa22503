"""From sums over tiles of classes to a loss that JAX can differentiate."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jml._numerics import inverse
from jml.pairwise import count_devices, psum, pvary_like

from ._cut import Cut
from ._inputs import Data, Inputs, Setting, sides_of, with_gradient
from ._spread import deal, gather_items, is_own, of_own, sum_over_classes
from ._statistics import Statistics
from ._tile import Items
from ._two_passes import (
    Classes,
    Formula,
    slopes_by_entries,
    sum_rows_of_classes,
)


class Looked(NamedTuple):
    """What the first pass finds on a device."""

    items: Items  # those that this device computes
    classes: Classes
    cut: Cut
    scalars: dict[str, Float[Array, ""]]
    sums: Statistics
    totals: Float[Array, " b"]  # the loss of each item
    counts: Float[Array, " b"]
    back: Callable[..., Any]  # from slopes of the totals to those of the sums
    own: Float[Array, " b"]  # 1 for an item of this device, 0 for one of another


def _look(
    reduction: str, formula: Formula, inputs: Inputs, data: Data, setting: Setting
) -> Looked:
    spread = setting.spread
    items, classes, cut = sides_of(inputs, data, setting)
    x, each = items.embeddings, gather_items(inputs.each, spread)
    scalars = pvary_like((x, inputs.weights), inputs.scalars)
    axes = spread.classes or None
    sums = sum_rows_of_classes(formula, items, classes, scalars, cut, axes)

    if formula.assign is not None:
        each = deal(formula.assign, sums, each, spread)

    def finish(sums, scalars, each):
        totals, counts = formula.finish(sums, **scalars, **each)
        if reduction == "nonzero":
            counts = (totals > 0).astype(totals.dtype)
            totals = jnp.where(totals < 0, 0, totals)
        return totals, jax.lax.stop_gradient(counts)

    # Marked as each device's own, or the derivative by what the devices share would be
    # summed over them.
    given = pvary_like(x, (sums, inputs.scalars, each))
    totals, back, counts = jax.vjp(finish, *given, has_aux=True)
    own = is_own(len(inputs.embeddings), len(x), spread).astype(totals.dtype)
    return Looked(items, classes, cut, scalars, sums, totals, counts, back, own)


def _follow(
    looked: Looked, factor: Float[Array, " b"], formula: Formula, setting: Setting
) -> Inputs:
    """The gradient of the sum of all totals, each times a factor."""
    spread = setting.spread
    number = len(looked.own) // count_devices(spread.both)
    slopes, _, by_each = looked.back(factor)
    _, by_scalars, _ = looked.back(factor * looked.own)
    found = slopes_by_entries(
        formula,
        looked.items,
        looked.classes,
        looked.scalars,
        looked.cut,
        looked.sums,
        slopes,
    )
    if formula.assign is not None:
        by_each = jax.tree.map(jnp.zeros_like, by_each)
    by_finish = psum(by_scalars, spread.batch or None)
    by_entries = psum(found.numbers, spread.all)
    return Inputs(
        sum_over_classes(found.items, spread),
        psum(found.weights, spread.batch_alone),
        jax.tree.map(jnp.add, by_finish, by_entries),
        of_own(by_each, number, spread),
    )


def reduced_loss(
    reduction: str, formula: Formula, inputs: Inputs, data: Data, setting: Setting
) -> Float[Array, ""]:
    """A total over its number of terms, 0 without any, that JAX can differentiate."""
    batch = setting.spread.batch or None

    def value_and_gradient(inputs, data):
        looked = _look(reduction, formula, inputs, data, setting)
        total = psum(jnp.sum(looked.own * looked.totals), batch)
        scale = inverse(psum(jnp.sum(looked.own * looked.counts), batch))
        scale = jnp.ones_like(scale) if reduction == "sum" else scale
        factor = scale + jnp.zeros_like(looked.totals)
        gradient = _follow(looked, factor, formula, setting)
        return jnp.where(jnp.isnan(total), total, total * scale), gradient

    return with_gradient(value_and_gradient, inputs, data, setting.spread)


def each_loss(
    reduction: str, formula: Formula, inputs: Inputs, data: Data, setting: Setting
) -> Float[Array, " b"]:
    """The loss of each item by itself, which JAX differentiates in reverse mode."""
    number = len(inputs.embeddings)

    @jax.custom_vjp
    def losses(inputs, data):
        looked = _look(reduction, formula, inputs, data, setting)
        return of_own(looked.totals, number, setting.spread)

    def forward(inputs, data):
        return losses(inputs, data), (inputs, data)

    def backward(kept, slopes):
        inputs, data = kept
        looked = _look(reduction, formula, inputs, data, setting)
        factor = gather_items(slopes, setting.spread)
        return _follow(looked, factor, formula, setting), None

    losses.defvjp(forward, backward)
    return losses(inputs, data)
