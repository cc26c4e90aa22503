"""An optimizer's first state, made by one program instead of one per shape."""

import jax
import optax
from jaxtyping import PyTree


def first_opt_state(
    optimizer: optax.GradientTransformation, params: PyTree
) -> optax.OptState:
    """Returns ``optimizer.init(params)``; no array of it is one of the parameters.

    So a step may donate both.
    """
    init = optimizer.init
    if all(map(_may_lie_anywhere, jax.tree.leaves(params))):
        try:
            return _apart(jax.jit(init)(params), params)
        except (TypeError, jax.errors.JAXIndexError):  # it needs values, or more
            pass
    # Operation by operation: what is made like a parameter lies where that lies.
    return _apart(init(params), params)


def _may_lie_anywhere(leaf: PyTree) -> bool:
    """Whether JAX may put an array that is made like this one on any device."""
    committed = isinstance(leaf, jax.Array) and getattr(leaf, "committed", True)
    return not committed


def _apart(state: PyTree, params: PyTree) -> PyTree:
    """Copies the arrays of a state that it shares with parameters, or has twice."""
    seen = {id(leaf) for leaf in jax.tree.leaves(params)}

    def copy_if_seen(leaf: PyTree) -> PyTree:
        if isinstance(leaf, jax.Array) and id(leaf) in seen:
            return jax.device_put(leaf, may_alias=False)
        seen.add(id(leaf))
        return leaf

    return jax.tree.map(copy_if_seen, state)
