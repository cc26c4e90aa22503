"""The arguments that all pair losses share, and their checks."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import (
    check_array,
    check_choice,
    check_count,
    check_kind,
    check_rows,
    is_real,
)
from jml._label_checks import (
    check_alike,
    check_embeddings,
    check_labels,
    check_where,
)

from ._blocks import Plan
from ._devices import AxisName, check_axis_name, count_devices
from ._memory import Memory, check_memory
from ._mining import Miner, check_miner
from ._references import Labels, References, Related

MEASURES = ("squared", "cosine", "dot")
SIMILARITIES = MEASURES[1:]
REDUCTIONS = ("mean", "nonzero", "sum", "none")


class Batch(NamedTuple):
    """A batch and how to treat it: the arguments that all pair losses share."""

    embeddings: Float[Array | np.ndarray, "n d"]
    labels: Labels | np.ndarray | None = None
    where: Bool[Array | np.ndarray, " n"] | None = None
    memory: Memory | None = None
    block_size: int | None = None
    axis_name: AxisName = None


class Options(NamedTuple):
    """What else pair losses share: what the batch is compared with, and how."""

    references: References = References()
    related: Related | np.ndarray | None = None
    miner: Miner | None = None
    reduction: str = "mean"


DEFAULTS = Options()


def check_arguments(name: str, batch: Batch, options: Options) -> tuple[Batch, Options]:
    """Raises ValueError, in one line, for arguments that do not fit each other.

    Returns:
        The arguments, as plain arrays.
    """
    check_choice(name, "reduction", options.reduction, REDUCTIONS)
    x = check_embeddings(name, batch.embeddings)
    related = options.related
    if (batch.labels is None) == (related is None):
        raise ValueError(
            f"{name}: `labels` and `related` exclude each other; pass one of them, got "
            f"{'both' if related is not None else 'neither'}"
        )
    labels = batch.labels
    if labels is not None:
        labels = check_labels(name, "labels", labels, len(x))
    where = check_where(name, "where", batch.where, len(x))
    references = _check_references(name, options.references, x, labels, related)
    memory = batch.memory
    if memory is not None:
        memory = check_memory(name, memory, x)
        if labels is not None:
            check_alike(name, "memory.labels", memory.labels, labels, "`labels`")
    check_axis_name(name, batch.axis_name)
    batch = batch._replace(embeddings=x, labels=labels, where=where, memory=memory)
    if related is not None:
        related = _check_related(name, related, batch, references)
    miner = options.miner
    if miner is not None:
        miner = check_miner(name, miner)
    return batch, options._replace(references=references, related=related, miner=miner)


def make_plan(name: str, batch: Batch, measure: str) -> Plan:
    """How to make and sum rows, from checked arguments."""
    check_choice(name, "measure", measure, MEASURES)
    block_size = batch.block_size
    if block_size is not None:
        check_count(name, "block_size", block_size)
        block_size = int(block_size)  # of NumPy's integers, too
    rows_hold = "squared" if measure == "squared" else "product"
    return Plan(block_size, batch.axis_name, rows_hold)


def _check_references(
    name: str, references: References, x: Any, labels: Any, related: Any
) -> References:
    y, y_labels, y_where = references
    if y is None:
        for argument, value in (("labels", y_labels), ("where", y_where)):
            if value is not None:
                raise ValueError(
                    f"{name}: `reference_{argument}` needs `references`, got None"
                )
        return references
    y = check_rows(name, "references", y, x)
    if labels is None:
        if y_labels is not None:
            raise ValueError(
                f"{name}: `reference_labels` and `related` exclude each other; pass one"
                " of them, got both"
            )
    elif y_labels is None:
        raise ValueError(
            f"{name}: `references` need `reference_labels`, one for each of the "
            f"{len(y)} references, got None"
        )
    else:
        y_labels = check_labels(name, "reference_labels", y_labels, len(y))
        check_alike(name, "reference_labels", y_labels, labels, "`labels`")
    return References(
        y, y_labels, check_where(name, "reference_where", y_where, len(y))
    )


def _check_related(name: str, related: Any, batch: Batch, references: References):
    related = check_array(name, "related", related, shape="[B, N]", ndim=2)
    if not (is_real(related.dtype) or related.dtype == jnp.bool_):
        raise ValueError(
            f"{name}: `related` must be numbers or booleans, got {related.dtype}"
        )
    columns = len(batch.embeddings if references[0] is None else references[0])
    columns *= count_devices(batch.axis_name)
    if batch.memory is not None:
        columns += len(batch.memory.embeddings)
    expected = len(batch.embeddings), columns
    if related.shape != expected:
        raise ValueError(
            f"{name}: `related` must have shape {expected}, a row for each embedding "
            "and a column for each reference (those of a memory last), got "
            f"{tuple(related.shape)}"
        )
    return related


def check_parameter(name: str, argument: str, value: Any, embeddings: Any) -> Any:
    if jnp.ndim(value) != 1:
        return check_rows(name, argument, value, embeddings)
    value = check_array(name, argument, value, shape="[C]", ndim=1)
    check_kind(name, argument, value, jnp.floating, "floating")
    return value
