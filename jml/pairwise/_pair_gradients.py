"""From a formula to the gradient by each distance, and on to that by each embedding."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from types import CellType, FunctionType
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float

from jml._gram_distances import inner_products
from jml._value_checks import check_functions

from ._blocks import on_cpu
from ._devices import pvary_like
from ._references import Side
from ._rows import Rows

Hyperparameters = dict[str, Any]  # float arrays that a formula takes by name
Terms = Callable[..., tuple[Array, ...]]  # terms(rows, **hyperparameters)


def call_terms(
    name: str, reduction: str, terms: Terms, rows: Rows, /, **hyperparameters: Any
) -> tuple[Float[Array, "b *k"], Float[Array, "b *k"]]:
    """Calls a formula and checks what it returns, while JAX traces it.

    Returns:
        The total of each anchor, and the number that the reduction divides it by. Those
        of several parts are the columns of two matrices.

    Raises:
        ValueError: for shapes other than one entry for each anchor, and for a count
            with a gradient.
    """
    returned = terms(rows, **hyperparameters)
    parts = returned if isinstance(returned, list) else [returned]
    reduced = [_reduce_part(name, reduction, part, len(rows.values)) for part in parts]
    if len(reduced) == 1:
        return reduced[0]
    totals, numbers = zip(*reduced, strict=True)
    return jnp.stack(totals, axis=1), jnp.stack(numbers, axis=1)


def _reduce_part(
    name: str, reduction: str, part: Any, anchors: int
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    if isinstance(part, tuple | Array):
        shapes = [jnp.shape(array) for array in jax.tree.leaves(part)]
        got = f"shapes {', '.join(map(str, shapes))}"
    else:
        shapes, got = [], f"a {type(part).__name__}"
    if len(shapes) not in (2, 3) or set(shapes) != {(anchors,)}:
        raise ValueError(
            f"{name}: `terms` must return two arrays with one entry for each of the "
            f"{anchors} anchors, the sums and the numbers of terms, got {got}"
        )
    total, number, *above_zero = part
    if reduction == "nonzero" and above_zero:
        number = above_zero[0]
    elif reduction == "nonzero":
        number = (total > 0).astype(total.dtype)
        total = jnp.where(total < 0, 0, total)  # which a NaN is not
    return total, _without_gradient(name, number)


def check_function(name: str, argument: str, function: Any) -> None:
    """Raises ValueError unless this is a function that holds no value JAX is tracing.

    The loss is a `jit` of its own, within which such a value would be a constant.
    """
    check_functions(name, **{argument: function})
    if _holds_tracer(function, depth=0):
        remedy = "`hyperparameters` or `parameters`"
        if argument == "miner":
            remedy = "jax.tree_util.Partial(miner, value)"
        raise ValueError(
            f"{name}: `{argument}` uses a traced value of the function around it, whose"
            f" gradient would be lost; pass it by {remedy}"
        )


def _holds_tracer(value: Any, depth: int) -> bool:
    """Whether a traced value is in containers, or used by functions, up to a depth."""
    if isinstance(value, Tracer):
        return True
    if depth > 6:
        return False
    held: Iterable[Any] = ()
    if isinstance(value, dict):
        held = value.values()
    elif isinstance(value, tuple | list):
        held = value
    elif isinstance(value, partial):
        held = (value.func, value.args, value.keywords)
    elif isinstance(value, FunctionType):
        held = [_content(cell) for cell in value.__closure__ or ()]
        held += [value.__defaults__, value.__kwdefaults__]
    return any(_holds_tracer(part, depth + 1) for part in held)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _without_gradient(name: str, number: Float[Array, " b"]) -> Float[Array, " b"]:
    """The count itself; raises ValueError if JAX finds a gradient in it.

    The rule of differentiation of this identity is given the tangent of the count. That
    is a `SymbolicZero` if each way from the distances and hyperparameters to the count
    leads through an operation without a derivative, such as a comparison. XLA sees none
    of this.
    """

    @jax.custom_jvp
    def identity(number):
        return number

    @partial(identity.defjvp, symbolic_zeros=True)
    def _(primals, tangents):
        if not isinstance(tangents[0], SymbolicZero):
            raise ValueError(
                f"{name}: the count that `terms` returns passes no gradient, so it "
                "must be constant in the distances and the hyperparameters, except in "
                "steps (a comparison); jax.lax.stop_gradient makes it so"
            )
        return primals[0], tangents[0]

    return identity(number)


def linearize(
    terms: Terms, rows: Rows, hyperparameters: Hyperparameters, anchors: Side
) -> tuple[Array, Array, Float[Array, "b n"], Hyperparameters]:
    """Each row's total and count, and the gradients of the sum T of the totals.

    These are the pair gradients, ``G = dT/dS`` by each squared distance or product, and
    the gradient by each hyperparameter. The counts pass none.
    """

    def of_values(values, hyperparameters) -> Any:
        return terms(replace(rows, values=values), **hyperparameters)

    total, back, number = jax.vjp(of_values, rows.values, hyperparameters, has_aux=True)
    ones = pvary_like(anchors, jnp.ones_like(total))
    pair_gradients, by_hyperparameters = back(ones)
    if rows.measure == "squared":  # a distance of 0 has no direction in which it grows
        pair_gradients = jnp.where(rows.values > 0, pair_gradients, 0)
    return total, number, pair_gradients, by_hyperparameters


def transposed_product(
    pair_gradients: Float[Array, "b n"], x: Float[Array, "b d"]
) -> Float[Array, "n d"]:
    """``pair_gradients.T @ x``.

    XLA's CPU backend multiplies by a transposed matrix at half the speed. There the
    embeddings are transposed instead, which are smaller. The barriers keep XLA from
    undoing that.
    """
    if not on_cpu():
        return inner_products(pair_gradients.T, x.T)
    barrier = jax.lax.optimization_barrier
    return barrier(inner_products(barrier(x.T), pair_gradients.T)).T


def by_one_end(
    x: Float[Array, "n d"],
    pair_gradients: Float[Array, "b m"],
    axis: int,
    products: Float[Array, "n d"],
    measure: str,
) -> Float[Array, "n d"]:
    """The gradient by the embeddings at one end of all pairs.

    Args:
        x: these embeddings.
        pair_gradients: of all pairs.
        axis: the axis along which the other ends lie.
        products: of the pair gradients with the embeddings at the other end.
        measure: what the pair gradients are by.
    """
    if measure == "product":
        return products
    return 2 * (jnp.sum(pair_gradients, axis=axis)[:, None] * x - products)
