"""An optimizer's first state, for which JAX need not compile a program a shape."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import optax
from jax.core import Tracer
from jax.extend.core import Literal
from jax.extend.core.primitives import broadcast_in_dim_p
from jaxtyping import PyTree


def first_opt_state(
    optimizer: optax.GradientTransformation, params: PyTree
) -> optax.OptState:
    """Returns ``optimizer.init(params)``; no array of it is one of the parameters.

    So a step may donate both. Where all arrays are constants, as the zeros of most
    optimizers, NumPy makes them. Else the optimizer runs as it is, operation by
    operation.
    """
    state = _constant_state(optimizer.init, params)
    return _apart(optimizer.init(params), params) if state is None else state


def _constant_state(init: Callable[[PyTree], PyTree], params: PyTree) -> PyTree | None:
    """The result of `init` if its arrays are constants, else None."""
    # Those of parameters that are committed to devices, or spread over them, lie alike.
    if not all(_is_anywhere(leaf) for leaf in jax.tree.leaves(params)):
        return None
    try:
        traced, shapes = jax.make_jaxpr(init, return_shape=True)(params)
    except (
        Exception
    ):  # it computes with values; other errors, it raises without tracing
        return None
    made_by = {out: eqn for eqn in traced.eqns for out in eqn.outvars}

    def constant_of(out: Any) -> np.ndarray | None:
        value, aval = out, out.aval
        if not isinstance(out, Literal):
            eqn = made_by.get(out)
            if eqn is None or eqn.primitive is not broadcast_in_dim_p:
                return None
            value = eqn.invars[0]
        if aval.weak_type or not isinstance(value, Literal) or np.ndim(value.val):
            return None
        return np.full(aval.shape, value.val, aval.dtype)

    constants = [constant_of(out) for out in traced.jaxpr.outvars]
    if any(constant is None for constant in constants):
        return None
    return jax.device_put(jax.tree.unflatten(jax.tree.structure(shapes), constants))


def _is_anywhere(leaf: Any) -> bool:
    """Whether JAX may put an array that is made like this one on any device."""
    if isinstance(leaf, Tracer):
        return False
    return isinstance(leaf, np.ndarray) or (
        isinstance(leaf, jax.Array) and not leaf.committed
    )


def _apart(state: PyTree, params: PyTree) -> PyTree:
    """Copies the arrays of a state that it shares with parameters, or has twice."""
    seen = {id(leaf) for leaf in jax.tree.leaves(params)}

    def copy_if_seen(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and id(leaf) in seen:
            return jax.device_put(leaf, may_alias=False)
        seen.add(id(leaf))
        return leaf

    return jax.tree.map(copy_if_seen, state)
