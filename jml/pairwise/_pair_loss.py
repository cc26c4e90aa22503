"""The shell of every pair loss: checks, compilation, and the loss of a formula."""

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_batch, check_count, check_number, check_rows
from jml.distances import as_compute, normalize

from ._blocks import Plan
from ._devices import AxisName, check_axis_name, psum
from ._gradient import mean_loss
from ._memory import Memory, check_memory
from ._pair_gradients import Hyperparameters, Terms, call_terms, check_function
from ._references import Pairs, prepare
from ._sums import Sums, sum_rows

Scalar = float | Float[Array | np.ndarray, ""]
SumOver = Callable[[Terms, Pairs, Hyperparameters, Plan], Sums]


class Batch(NamedTuple):
    """A batch and how to treat it: the arguments that all pair losses share."""

    embeddings: Float[Array | np.ndarray, "n d"]
    labels: Integer[Array | np.ndarray, " n"]
    where: Bool[Array | np.ndarray, " n"] | None = None
    memory: Memory | None = None
    block_size: int | None = None
    axis_name: AxisName = None


def pair_loss(
    name: str,
    terms: Terms,
    batch: Batch,
    hyperparameters: Mapping[str, Scalar],
    *,
    sum_over: SumOver = sum_rows,
    choices: Mapping[str, Hashable] | None = None,
    parameters: Mapping[str, Float[Array | np.ndarray, "c d"]] | None = None,
    normalized: bool = False,
) -> Float[Array, ""]:
    """The loss of a formula: the sum of its terms over their number.

    It compiles once for each `terms`, `sum_over`, `choices`, and shape of the batch. So
    `terms` and `sum_over` must be module-level functions, not lambdas or closures: a
    function that is made anew in every call would be compiled anew. Numbers may change
    freely.

    Args:
        name: the name of the loss, with which its errors begin.
        terms: the formula, ``terms(rows, **hyperparameters, **parameters, **choices)``
            of `Rows`. It returns a total and a count of terms for each anchor. The
            count passes no gradient: it must be constant in the distances and the
            hyperparameters, except in steps (a comparison).
        batch: the embeddings and the other arguments that all losses share.
        hyperparameters: numbers by name, each of which may be differentiated.
        sum_over: `sum_rows`; `sum_pairs`, where a term is the same from both ends of
            its pair; `sum_positives`, where in addition only positive pairs have one;
            or a function of the same arguments, for a loss that needs several passes.
            Such a function decides what `terms` is called with.
        choices: static arguments of the formula, such as a convention.
        parameters: rows as long as embeddings by name, such as proxies.
        normalized: whether embeddings, those of a memory, and parameters are put on the
            unit sphere first, where ``S = 2 - 2 cos``.

    Returns:
        The loss, a scalar in float32 or float64; 0 without a term.

    Raises:
        ValueError: for a wrong type, shape or dtype, also of what `terms` returns; for
            a count with a gradient; and for a formula that uses a traced value of the
            function around it.
    """
    for argument, value, kind in (
        ("batch", batch, Batch),
        ("hyperparameters", hyperparameters, Mapping),
        ("choices", choices or {}, Mapping),
        ("parameters", parameters or {}, Mapping),
    ):
        if not isinstance(value, kind):
            raise ValueError(
                f"{name}: `{argument}` must be a {kind.__name__}, got a"
                f" {type(value).__name__}"
            )
    check_function(name, "terms", terms)
    check_function(name, "sum_over", sum_over)
    embeddings, labels, where = check_batch(
        name, batch.embeddings, batch.labels, batch.where
    )
    hyperparameters = {
        key: check_number(name, key, value) for key, value in hyperparameters.items()
    }
    parameters = {
        key: check_rows(name, key, value, embeddings)
        for key, value in (parameters or {}).items()
    }
    memory = batch.memory
    if memory is not None:
        memory = check_memory(name, memory, embeddings)
    return _pair_loss(
        embeddings,
        labels,
        where,
        memory,
        hyperparameters,
        parameters,
        name=name,
        terms=terms,
        sum_over=sum_over,
        choices=tuple((choices or {}).items()),
        normalized=normalized,
        plan=_make_plan(name, batch),
    )


def _make_plan(name: str, batch: Batch) -> Plan:
    block_size = batch.block_size
    if block_size is not None:
        check_count(name, "block_size", block_size)
        block_size = int(block_size)  # of NumPy's integers, too
    check_axis_name(name, batch.axis_name)
    return Plan(block_size, batch.axis_name)


STATIC = ("name", "terms", "sum_over", "choices", "normalized", "plan")


@partial(jax.jit, static_argnames=STATIC)
def _pair_loss(
    embeddings: Float[Array, "n d"],
    labels: Integer[Array, " n"],
    where: Bool[Array, " n"] | None,
    memory: Memory | None,
    hyperparameters: dict[str, Any],
    parameters: dict[str, Float[Array, "_ d"]],
    *,
    name: str,
    terms: Terms,
    sum_over: SumOver,
    choices: tuple[tuple[str, Hashable], ...],
    normalized: bool,
    plan: Plan,
) -> Float[Array, ""]:
    x, valid = prepare(embeddings, where)
    if not len(labels):  # no anchor, and no first index of a minimum
        return psum(jnp.sum(x), plan.axis_name)
    parameters = jax.tree.map(as_compute, parameters)
    if normalized:
        x, parameters = normalize(x), jax.tree.map(normalize, parameters)
        if memory is not None:
            kept = normalize(as_compute(memory.embeddings))
            memory = memory._replace(embeddings=kept)
    scalars = {
        key: as_compute(jnp.asarray(value, x.dtype))
        for key, value in hyperparameters.items()
    }
    arrays = {key: value.astype(x.dtype) for key, value in parameters.items()}
    return mean_loss(
        partial(sum_over, partial(call_terms, name, partial(terms, **dict(choices)))),
        x,
        labels,
        valid,
        scalars | arrays,
        memory=memory,
        plan=plan,
    )
