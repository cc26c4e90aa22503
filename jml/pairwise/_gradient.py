"""From sums over rows to a loss that JAX can differentiate."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Bool, Float

from jml._numerics import inverse

from ._blocks import Plan
from ._devices import local_gradient, on_auto_axes, psum, pvary_like
from ._memory import Memory
from ._pair_gradients import Hyperparameters, Terms
from ._references import Labels, Pairs, References, make_pairs
from ._sums import Sums, map_rows

# Both take (terms, pairs, hyperparameters, plan).
SumOver = Callable[[Terms, Pairs, Hyperparameters, Plan], Sums]
Each = Callable[[Terms, Pairs, Hyperparameters, Plan], Float[Array, " b"]]


class Compared(NamedTuple):
    """What is compared: a batch, and what with."""

    x: Float[Array, "n d"]
    y: Float[Array, "m d"] | None  # references in place of the batch itself


class Data(NamedTuple):
    """What else a loss depends on, and is not differentiated by."""

    labels: Labels | None
    valid: Bool[Array, " n"]
    memory: Memory | None
    reference_labels: Labels | None
    reference_valid: Bool[Array, " m"] | None
    related: Any  # Related, or None
    miner: Callable[[Any], Any] | None


def _pairs_of(compared: Compared, data: Data, plan: Plan) -> tuple[Pairs, Plan]:
    references = None
    if compared.y is not None:
        references = References(compared.y, *data[3:5])
    pairs = make_pairs(
        compared.x,
        *data[:3],
        plan.axis_name,
        references=references,
        related=data.related,
    )
    return pairs, plan._replace(miner=data.miner)


def each_loss(
    each: Each,
    terms: Terms,
    compared: Compared,
    data: Data,
    hyperparameters: Hyperparameters,
    plan: Plan,
) -> Float[Array, " b"]:
    """The loss of each anchor by itself. JAX differentiates it without help."""

    def loss(compared, hyperparameters, data):
        pairs, made = _pairs_of(compared, data, plan)
        return each(terms, pairs, pvary_like(pairs.anchors, hyperparameters), made)

    return on_auto_axes(loss, compared, hyperparameters, data)


def mean_of_each(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Float[Array, " b"]:
    """Each anchor's total over its number of terms; parts are added."""

    def of_rows(rows):
        total, number = terms(rows, **hyperparameters)
        means = total * inverse(jax.lax.stop_gradient(number))
        return means if means.ndim == 1 else jnp.sum(means, axis=1)

    return map_rows(of_rows, pairs.anchors, pairs.references, plan)


def reduced_loss(
    sum_over: SumOver,
    terms: Terms,
    compared: Compared,
    data: Data,
    hyperparameters: Hyperparameters,
    plan: Plan,
    *,
    total_only: bool,
) -> Float[Array, ""]:
    """A total over its number of terms, 0 without any, that JAX can differentiate.

    `sum_over` makes the gradient together with the value. So the loss brings its own
    rule of differentiation, which multiplies that gradient by the tangents. The rule is
    linear in the tangents, so JAX transposes it for reverse mode.

    Args:
        sum_over: of `terms`.
        terms: the formula.
        compared: what the loss is differentiated by,
        data: and what it is not.
        hyperparameters: by name.
        plan: how rows are made and summed.
        total_only: whether the total is not divided by the number of terms.
    """

    @jax.custom_jvp
    def loss(compared, hyperparameters, data):
        return value_and_gradient(compared, hyperparameters, data)[0]

    # JAX traces both the loss and its rule where it differentiates. By this `jit` the
    # second finds what the first has traced; inline, it leaves no call in the program.
    @partial(jax.jit, inline=True)
    def value_and_gradient(compared, hyperparameters, data):
        pairs, made = _pairs_of(compared, data, plan)
        varying = pvary_like(pairs.anchors, hyperparameters)
        local, number = _sum_parts(sum_over, terms, pairs, varying, made, total_only)
        total, by_hyperparameters = psum(
            (local.total, local.by_hyperparameters), plan.axis_name
        )
        by_compared = _by_compared(local, pairs, compared, plan)
        scale = inverse(number)
        gradients = jax.tree.map(lambda g: scale * g, (by_compared, by_hyperparameters))
        # A NaN fails comparisons, so perhaps no term is counted; the loss is NaN
        # nevertheless.
        value = jnp.where(jnp.isnan(total), total, total * scale)
        return value, gradients

    @partial(loss.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        value, (by_compared, by_hyperparameters) = value_and_gradient(*primals)
        slope = jnp.zeros_like(value)
        for gradient, tangent in _zip_leaves(by_compared, tangents[0]):
            if not isinstance(tangent, SymbolicZero):
                slope += psum(jnp.sum(gradient * tangent), plan.axis_name)
        for gradient, tangent in _zip_leaves(by_hyperparameters, tangents[1]):
            if not isinstance(tangent, SymbolicZero):
                slope += jnp.sum(gradient * tangent)
        return value, slope

    return on_auto_axes(loss, compared, hyperparameters, data)


def _sum_parts(
    sum_over: SumOver,
    terms: Terms,
    pairs: Pairs,
    hyperparameters: Hyperparameters,
    plan: Plan,
    total_only: bool,
) -> tuple[Sums, Float[Array, ""]]:
    """The sums of a formula on this device, and what to divide them by.

    Of a formula of several parts they are the sum of the parts' means. The gradient
    needs the numbers of terms of all parts first. So the rows are summed twice, and XLA
    leaves out the first gradient.
    """
    sums = sum_over(terms, pairs, hyperparameters, plan)
    number = psum(sums.number, plan.axis_name)
    if total_only:
        number = jnp.ones_like(number)
    if number.ndim == 0:
        return sums, number
    scale = pvary_like(pairs.anchors, inverse(number))

    def scaled(rows, **hyperparameters):
        totals, numbers = terms(rows, **hyperparameters)
        return totals @ scale, jnp.sum(numbers, axis=1)

    sums = sum_over(scaled, pairs, hyperparameters, plan)
    return sums, jnp.ones_like(number[0])


def _by_compared(local: Sums, pairs: Pairs, compared: Compared, plan: Plan) -> Compared:
    by_x, by_y = local.by_anchors, None
    to_part = partial(local_gradient, axis_name=plan.axis_name)
    if compared.y is None:
        if local.by_references is not None:
            by_x += to_part(local.by_references, len(compared.x))
    elif local.by_references is None:
        by_y = jnp.zeros_like(compared.y)
    else:
        by_y = to_part(local.by_references, len(compared.y))
    return Compared(by_x, by_y)


def _zip_leaves(gradients: Any, tangents: Any):
    return zip(jax.tree.leaves(gradients), jax.tree.leaves(tangents), strict=True)
