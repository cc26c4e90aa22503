"""The shell of every pair loss: checks, compilation, and the loss of a formula."""

from collections.abc import Hashable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_number
from jml.distances import as_compute

from ._arguments import (
    DEFAULTS,
    Batch,
    Options,
    check_arguments,
    check_parameter,
    make_plan,
)
from ._blocks import Plan
from ._devices import psum
from ._gradient import (
    Compared,
    Data,
    Each,
    SumOver,
    each_loss,
    mean_of_each,
    reduced_loss,
)
from ._memory import Memory
from ._mining import bind_miner
from ._pair_gradients import Terms, call_terms, check_function
from ._references import Labels, normalize_all, prepare
from ._sums import sum_rows

Scalar = float | Float[Array | np.ndarray, ""]


def pair_loss(
    name: str,
    terms: Terms,
    batch: Batch,
    hyperparameters: Mapping[str, Scalar],
    *,
    options: Options = DEFAULTS,
    sum_over: SumOver = sum_rows,
    each: Each = mean_of_each,
    choices: Mapping[str, Hashable] | None = None,
    parameters: Mapping[str, Float[Array | np.ndarray, "c *d"]] | None = None,
    measure: str = "squared",
    normalized: bool = False,
) -> Float[Array, "*b"]:
    """The loss of a formula: the sum of its terms over their number.

    It compiles once for each `terms`, `sum_over`, `choices`, and shape of the batch. So
    `terms`, `sum_over` and a miner must be module-level functions, not lambdas or
    closures: a function that is made anew in every call would be compiled anew. Numbers
    may change freely.

    Args:
        name: the name of the loss, with which its errors begin.
        terms: the formula, ``terms(rows, **hyperparameters, **parameters, **choices)``
            of `Rows`. It returns a total and a count of terms for each anchor, and if
            an anchor has several terms, the count of those above 0, for
            `reduction="nonzero"`. A list of such tuples has a mean for each, and these
            are added. Counts pass no gradient: they must be constant in the distances
            and the hyperparameters, except in steps (a comparison).
        batch: the embeddings and the other arguments that all losses share.
        hyperparameters: numbers by name, each of which may be differentiated.
        options: references, relations, a miner and the reduction.
        sum_over: `sum_rows`; `sum_pairs`, where a term is the same from both ends of
            its pair; `sum_positives`, where in addition only positive pairs have one;
            or a function of the same arguments, for a loss that needs several passes.
            Such a function decides what `terms` is called with.
        each: for `reduction="none"`, a function of the same arguments that returns the
            loss of each anchor and that JAX can differentiate. The default divides each
            anchor's total by its count.
        choices: static arguments of the formula, such as a convention.
        parameters: arrays by name: rows as long as embeddings, such as proxies, or
            numbers [C], such as one for each class.
        measure: "squared" for formulas of `rows.squared`; "cosine" or "dot" for those
            of `rows.similarity`. "cosine" implies `normalized`.
        normalized: whether embeddings, those of a memory, and rows among the parameters
            are put on the unit sphere first, where ``S = 2 - 2 cos``.

    Returns:
        The loss, a scalar in float32 or float64, 0 without a term; [B] for
        `reduction="none"`.

    Raises:
        ValueError: for a wrong type, shape or dtype, also of what `terms` returns; for
            a count with a gradient; and for a formula that uses a traced value of the
            function around it.
    """
    for argument, value, kind in (
        ("batch", batch, Batch),
        ("options", options, Options),
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
    check_function(name, "each", each)
    batch, options = check_arguments(name, batch, options)
    return _pair_loss(
        batch.embeddings,
        batch.labels,
        batch.where,
        batch.memory,
        options._replace(reduction=None),
        {key: check_number(name, key, value) for key, value in hyperparameters.items()},
        {
            key: check_parameter(name, key, value, batch.embeddings)
            for key, value in (parameters or {}).items()
        },
        name=name,
        terms=terms,
        sum_over=sum_over,
        each=each,
        reduction=options.reduction,
        choices=tuple((choices or {}).items()),
        normalized=normalized or measure == "cosine",
        plan=make_plan(name, batch, measure),
    )


STATIC = (
    "name",
    "terms",
    "sum_over",
    "each",
    "reduction",
    "choices",
    "normalized",
    "plan",
)


@partial(jax.jit, static_argnames=STATIC)
def _pair_loss(
    embeddings: Float[Array, "n d"],
    labels: Labels | None,
    where: Bool[Array, " n"] | None,
    memory: Memory | None,
    options: Options,
    hyperparameters: dict[str, Any],
    parameters: dict[str, Float[Array, "_ *d"]],
    *,
    name: str,
    terms: Terms,
    sum_over: SumOver,
    each: Each,
    reduction: str,
    choices: tuple[tuple[str, Hashable], ...],
    normalized: bool,
    plan: Plan,
) -> Float[Array, "*b"]:
    x, valid = prepare(embeddings, where)
    y, y_labels, y_valid = options.references
    if y is not None:
        y, y_valid = prepare(y, y_valid)
        dtype = jnp.promote_types(x.dtype, y.dtype)
        x, y = x.astype(dtype), y.astype(dtype)
    nothing = y is not None and not len(y) and memory is None
    if nothing or not len(x):  # there is no pair, and no first index of a minimum
        zero = psum(jnp.sum(x[:0]), plan.axis_name)
        return zero + jnp.zeros(len(x)) if reduction == "none" else zero
    parameters = jax.tree.map(as_compute, parameters)
    if normalized:
        x, y, memory, parameters = normalize_all(x, y, memory, parameters)
    scalars = {
        key: as_compute(jnp.asarray(value, x.dtype))
        for key, value in hyperparameters.items()
    }
    arrays = {key: value.astype(x.dtype) for key, value in parameters.items()}
    formula = partial(call_terms, name, reduction, partial(terms, **dict(choices)))
    compared = Compared(x, y)
    miner = bind_miner(name, options.miner)
    data = Data(labels, valid, memory, y_labels, y_valid, options.related, miner)
    if reduction == "none":
        return each_loss(each, formula, compared, data, scalars | arrays, plan)
    return reduced_loss(
        sum_over,
        formula,
        compared,
        data,
        scalars | arrays,
        plan,
        total_only=reduction == "sum",
    )
