"""The shell of every loss of class weights: from a formula to a loss for JAX."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_number
from jml._label_checks import warn_of_labels
from jml._numerics import inverse
from jml.distances import as_compute, normalize
from jml.pairwise import count_devices, on_auto_axes, psum, pvary_like

from ._arguments import ClassBatch, check_class_batch, check_each
from ._cut import Cut, choose_cut
from ._spread import (
    Spread,
    first_class,
    gather_items,
    is_own,
    of_own,
    sum_over_classes,
)
from ._statistics import Statistics
from ._tile import Items
from ._two_passes import (
    Classes,
    Formula,
    slopes_by_entries,
    sum_rows_of_classes,
)


class Inputs(NamedTuple):
    """What a loss is differentiated by."""

    embeddings: Float[Array, "b d"]
    weights: Float[Array, "c *k d"]
    scalars: dict[str, Float[Array, ""]]
    each: dict[str, Float[Array, " b"]]  # numbers that each item has its own of


class Data(NamedTuple):
    """What else it depends on."""

    labels: Integer[Array, " b"]
    valid: Bool[Array, " b"]
    classes: Integer[Array, " c"] | None


class Setting(NamedTuple):
    """How a loss is computed."""

    spread: Spread = Spread()
    block_size: int | None = None  # classes at a time; None: chosen by the sizes


def class_loss(
    name: str,
    formula: Formula,
    batch: ClassBatch,
    numbers: Mapping[str, Any],
    *,
    each: Mapping[str, Any] | None = None,
    reduction: str = "mean",
) -> Float[Array, "*b"]:
    """The loss of a formula: each item's loss, and their mean.

    It compiles once for each formula, and shape of the batch and the weights. So the
    functions of a formula must be module-level ones, not lambdas or closures.

    Args:
        name: the name of the loss, with which its errors begin.
        formula: of the sums over an item's row.
        batch: the embeddings, the class weights, and the other arguments that losses of
            class weights share.
        numbers: scalars by name, each of which may be differentiated.
        each: numbers, or arrays [B] of one for each item, that only `formula.finish`
            takes.
        reduction: "mean", "nonzero", "sum" or "none".

    Returns:
        The loss, a scalar in float32 or float64; [B] for `reduction="none"`.

    Raises:
        ValueError: for a wrong type, shape or dtype.
    """
    batch = check_class_batch(name, batch, reduction)
    x = batch.embeddings
    if batch.classes is None and batch.class_axis_name is None:
        arrays = batch.labels, batch.where, batch.weights
        warn_of_labels(name, *arrays, word="weights", depth=4)
    return _class_loss(
        x,
        batch.labels,
        batch.weights,
        batch.where,
        batch.classes,
        {key: check_number(name, key, value) for key, value in numbers.items()},
        {key: check_each(name, key, v, x) for key, v in (each or {}).items()},
        formula=formula,
        reduction=reduction,
        setting=Setting(
            Spread.over(batch.axis_name, batch.class_axis_name), batch.block_size
        ),
    )


@partial(jax.jit, static_argnames=("formula", "reduction", "setting"))
def _class_loss(
    embeddings,
    labels,
    weights,
    where,
    classes,
    scalars: dict[str, Any],
    each: dict[str, Any],
    *,
    formula: Formula,
    reduction: str,
    setting: Setting,
) -> Float[Array, "*b"]:
    where = jnp.ones(len(embeddings), bool) if where is None else where
    x = normalize(jnp.where(where[:, None], as_compute(embeddings), 0))
    x = x.astype(jnp.promote_types(x.dtype, weights.dtype))
    if jnp.iinfo(labels.dtype).bits < 32:  # fewer may not hold every class
        labels = labels.astype(jnp.int32)
    to_dtype = lambda v: as_compute(jnp.asarray(v, x.dtype))  # noqa: E731
    scalars = jax.tree.map(to_dtype, scalars)
    each = {k: jnp.broadcast_to(to_dtype(v), len(x)) for k, v in each.items()}
    each = {k: jnp.where(where, v, 0) for k, v in each.items()}
    inputs, data = Inputs(x, weights, scalars, each), Data(labels, where, classes)
    if not len(x) or not len(weights):
        zero = psum(jnp.sum(x[:0]), setting.spread.batch or None)
        return zero + jnp.zeros(len(x)) if reduction == "none" else zero
    run = _each if reduction == "none" else _reduced
    run = partial(run, reduction, formula, setting=setting)
    return on_auto_axes(run, inputs, data)


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
    x, labels, valid, each = gather_items(
        (inputs.embeddings, data.labels, data.valid, inputs.each), spread
    )
    weights, names = inputs.weights, data.classes
    if names is None:
        names = first_class(len(weights), spread) + jnp.arange(len(weights))
    dtype = jnp.promote_types(labels.dtype, names.dtype)
    items = Items(x, labels.astype(dtype), valid)
    classes = Classes(weights, names.astype(dtype))
    cut = choose_cut(
        len(weights), len(x), weights[0].size // x.shape[1], setting.block_size
    )
    scalars = pvary_like((x, weights), inputs.scalars)
    axes = spread.classes or None
    sums = sum_rows_of_classes(formula, items, classes, scalars, cut, axes)

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
    by_finish = psum(by_scalars, spread.batch or None)
    by_entries = psum(found.numbers, spread.all)
    return Inputs(
        sum_over_classes(found.items, spread),
        psum(found.weights, spread.batch_alone),
        jax.tree.map(jnp.add, by_finish, by_entries),
        of_own(by_each, number, spread),
    )


def _reduced(
    reduction: str, formula: Formula, inputs: Inputs, data: Data, setting: Setting
) -> Float[Array, ""]:
    """A total over its number of terms, 0 without any, that JAX can differentiate.

    Value and gradient are made together. The rule of differentiation multiplies that
    gradient by the tangents. It is linear in them, so JAX transposes it.
    """
    batch, classes = (axes or None for axes in setting.spread)

    @jax.custom_jvp
    def loss(inputs, data):
        return value_and_gradient(inputs, data)[0]

    def value_and_gradient(inputs, data):
        looked = _look(reduction, formula, inputs, data, setting)
        total = psum(jnp.sum(looked.own * looked.totals), batch)
        scale = inverse(psum(jnp.sum(looked.own * looked.counts), batch))
        scale = jnp.ones_like(scale) if reduction == "sum" else scale
        factor = scale + jnp.zeros_like(looked.totals)
        gradient = _follow(looked, factor, formula, setting)
        return jnp.where(jnp.isnan(total), total, total * scale), gradient

    @partial(loss.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        value, gradient = value_and_gradient(*primals)
        slope = jnp.zeros_like(value)
        # Of each input, the axes over which it is spread.
        axes = Inputs(batch, classes, None, batch)
        for by, tangent, axis in zip(gradient, tangents[0], axes, strict=True):
            for g, t in zip(jax.tree.leaves(by), jax.tree.leaves(tangent), strict=True):
                if not isinstance(t, SymbolicZero):
                    slope += psum(jnp.sum(g * t), axis)
        return value, slope

    return loss(inputs, data)


def _each(
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
        looked = _look(reduction, formula, *kept, setting)
        factor = gather_items(slopes, setting.spread)
        return _follow(looked, factor, formula, setting), None

    losses.defvjp(forward, backward)
    return losses(inputs, data)
