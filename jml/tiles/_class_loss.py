"""The shell of every loss of class weights: checks, compilation, and the loss."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jml._checks import check_number
from jml._label_checks import warn_of_labels
from jml.distances import as_compute, normalize
from jml.pairwise import on_auto_axes, psum

from ._arguments import ClassBatch, check_class_batch, check_each
from ._columns import Columns, columns_loss
from ._gradient import each_loss, reduced_loss
from ._inputs import Data, Inputs, Setting
from ._spread import Spread
from ._two_passes import Formula


def class_loss(
    name: str,
    formula: Formula | Columns,
    batch: ClassBatch,
    numbers: Mapping[str, Any],
    *,
    each: Mapping[str, Any] | None = None,
    reduction: str = "mean",
) -> Float[Array, "*b"]:
    """The loss of a formula: each item's loss, or each class's, and their mean.

    It compiles once for each formula, and shape of the batch and the weights. So the
    functions of a formula must be module-level ones, not lambdas or closures.

    Args:
        name: the name of the loss, with which its errors begin.
        formula: of the sums over an item's row (`Formula`), or of a class's column
            (`Columns`), which takes no `each` and is reduced by the mean.
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
    if isinstance(formula, Columns) and (each or reduction != "mean"):
        raise ValueError(f"{name}: a loss of columns has no `each` and the mean alone")
    x = batch.embeddings
    all_here = batch.classes is None and batch.class_axis_name is None
    if all_here and batch.argument == "weights":  # losses of proxies warn themselves
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
    formula: Formula | Columns,
    reduction: str,
    setting: Setting,
) -> Float[Array, "*b"]:
    where = jnp.ones(len(embeddings), bool) if where is None else where
    x = normalize(jnp.where(where[:, None], as_compute(embeddings), 0))
    if jnp.finfo(weights.dtype).bits > jnp.finfo(x.dtype).bits:
        x = x.astype(weights.dtype)
    to_dtype = lambda v: as_compute(jnp.asarray(v, x.dtype))  # noqa: E731
    scalars = jax.tree.map(to_dtype, scalars)
    each = {k: jnp.broadcast_to(to_dtype(v), len(x)) for k, v in each.items()}
    each = {k: jnp.where(where, v, 0) for k, v in each.items()}
    inputs, data = Inputs(x, weights, scalars, each), Data(labels, where, classes)
    if not len(x) or not len(weights):
        zero = psum(jnp.sum(x[:0]), setting.spread.batch or None)
        return zero + jnp.zeros(len(x)) if reduction == "none" else zero
    if isinstance(formula, Columns):
        run = partial(columns_loss, formula, setting=setting)
    else:
        run = each_loss if reduction == "none" else reduced_loss
        run = partial(run, reduction, formula, setting=setting)
    return on_auto_axes(run, inputs, data)
