"""The arguments that losses of class weights share, and their checks."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import (
    as_array,
    check_array,
    check_choice,
    check_class_weights,
    check_count,
    check_kind,
    check_number,
    check_rows,
    is_real,
)
from jml._label_checks import check_class_labels, check_embeddings, check_where
from jml.pairwise import REDUCTIONS, AxisName, check_axis_name


class ClassBatch(NamedTuple):
    """A batch, class weights, and how to treat them: what these losses share."""

    embeddings: Float[Array | np.ndarray, "b d"]
    labels: Integer[Array | np.ndarray, " b"]
    weights: Float[Array | np.ndarray, "c *k d"]
    where: Bool[Array | np.ndarray, " b"] | None = None
    classes: Integer[Array | np.ndarray, " c"] | None = None
    block_size: int | None = None
    axis_name: AxisName = None
    class_axis_name: AxisName = None
    argument: str = "weights"  # their name in errors; "proxies" have one center a class


def check_class_batch(name: str, batch: ClassBatch, reduction: str) -> ClassBatch:
    """Raises ValueError, in one line, for arguments that do not fit each other.

    Returns:
        The arguments, as plain arrays.
    """
    check_choice(name, "reduction", reduction, REDUCTIONS)
    x = check_embeddings(name, batch.embeddings)
    labels = check_class_labels(name, batch.labels, len(x))
    argument = batch.argument
    if argument == "proxies":
        weights = check_rows(name, argument, batch.weights, x)
    else:
        weights = check_class_weights(name, batch.weights, x)
    classes = batch.classes
    if classes is not None:
        classes = check_array(name, "classes", classes, shape="[C]", ndim=1)
        check_kind(name, "classes", classes, jnp.integer, "integer")
        if len(classes) != len(weights):
            raise ValueError(
                f"{name}: `classes` must have one entry for each of the {len(weights)}"
                f" rows of `{argument}`, got {len(classes)}"
            )
    block_size = batch.block_size
    if block_size is not None:
        check_count(name, "block_size", block_size)
        block_size = int(block_size)
    check_axis_name(name, batch.axis_name)
    check_axis_name(name, batch.class_axis_name, "class_axis_name")
    return batch._replace(
        embeddings=x,
        labels=labels,
        weights=weights,
        where=check_where(name, "where", batch.where, len(x)),
        classes=classes,
        block_size=block_size,
    )


def check_each(name: str, argument: str, value: Any, x: Any) -> Any:
    """Raises ValueError unless this is a number, or one for each embedding.

    Returns:
        The number, or the array.
    """
    value = as_array(value)
    is_list = isinstance(value, list | tuple)
    if not is_list and not getattr(value, "ndim", 0):
        return check_number(name, argument, value)
    if is_list or not is_real(value.dtype) or value.shape != (len(x),):
        kind = type(value).__name__
        got = f"a {kind}" if is_list else f"{value.dtype} {tuple(value.shape)}"
        raise ValueError(
            f"{name}: `{argument}` must be a number, or an array of one for each of the"
            f" {len(x)} embeddings, got {got}"
        )
    return value
