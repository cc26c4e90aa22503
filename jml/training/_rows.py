"""Updates of a sample of class weights, which leave all other classes untouched."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Integer, PyTree

from jml._checks import as_array, check_array, check_kind, known_array
from jml._value_checks import check_fields

from ._step import OPTIMIZER


def update_rows(
    optimizer: optax.GradientTransformation,
    gradient: Float[Array | np.ndarray, "s *k d"],
    opt_state: optax.OptState,
    weights: Float[Array | np.ndarray, "c *k d"],
    rows: Integer[Array | np.ndarray, " s"],
) -> tuple[Float[Array, "c *k d"], optax.OptState]:
    """Updates some rows of class weights, and what an optimizer keeps of these rows.

    Nothing is read or written of the other rows. A compiled function that donates the
    weights and the state, and returns them in this order, changes them in place, at the
    cost of its sample: see the example. `jml.losses.sample_classes` draws a sample.

    The momentum of a row that is not drawn stays as it is until the row is drawn again,
    as in the authors' code of Partial FC. A dense optimizer is given a gradient of 0
    for that row: its momentum fades in every step, and still moves the row. Weight
    decay, too, acts on drawn rows alone. What the state has once for all rows, such as
    Adam's count of steps, changes in every step: the first update of a row that is
    drawn late is up to 3.2 times Adam's rate.

    Args:
        optimizer: one of optax, for these weights alone.
        gradient: by ``weights[rows]``, [S, D], or [S, K, D] for several centers.
        opt_state: the state of the optimizer: ``optimizer.init(weights)``, or what the
            last step returned.
        weights: of all classes of this device, [C, D] or [C, K, D].
        rows: the places of the drawn classes, [S], each of them once.

    Returns:
        The weights and the state of all classes.

    Raises:
        ValueError: for something that is not an optimizer, a wrong type or shape, and
            a state that was not made for these weights.

    Example:
        >>> from jml.losses import arcface_loss, sample_classes
        >>> optimizer = optax.sgd(0.1, momentum=0.9)
        >>> def step(weights, opt_state, x, labels, key):
        ...     rows, classes = sample_classes(key, labels, num_classes=100, size=4)
        ...     loss = lambda part: arcface_loss(x, labels, part, classes=classes)
        ...     gradient = jax.grad(loss)(weights[rows])
        ...     return update_rows(optimizer, gradient, opt_state, weights, rows)
        >>> step = jax.jit(step, donate_argnums=(0, 1))
        >>> x, labels = jnp.array([[2.0, 1.0]]), jnp.array([7])
        >>> weights = jnp.ones((100, 2))
        >>> state = optimizer.init(weights)
        >>> weights, state = step(weights, state, x, labels, jax.random.key(0))
        >>> print(jnp.sum(jnp.any(weights != 1, axis=1)))
        4

    References:
        An, Zhu, Gao, Xiao, Zhao, Feng et al.: Partial FC: Training 10 Million
        Identities on a Single Machine, 2021, https://arxiv.org/abs/2010.05222
    """
    name = "update_rows"
    check_fields(name, "optimizer", optimizer, "init update", OPTIMIZER)
    weights = as_array(weights)
    ndim = 3 if getattr(weights, "ndim", 2) == 3 else 2
    shape = "[C, D] or [C, K, D]"
    weights = check_array(name, "weights", weights, shape=shape, ndim=ndim)
    check_kind(name, "weights", weights, jnp.floating, "floating")
    weights = jnp.asarray(weights)
    rows = check_array(name, "rows", rows, shape="[S]", ndim=1)
    check_kind(name, "rows", rows, jnp.integer, "integer")
    _check_rows(name, rows, len(weights))
    gradient = as_array(gradient)
    expected = (len(rows), *weights.shape[1:])
    if getattr(gradient, "shape", None) != expected:
        got = getattr(gradient, "shape", f"a {type(gradient).__name__}")
        raise ValueError(
            f"{name}: `gradient` must have the shape of `weights[rows]`, {expected},"
            f" got {got}"
        )
    by_row = _check_state(name, optimizer, opt_state, weights)

    def put(every: bool, whole: Any, part: Any) -> Any:
        if not every:
            return part
        whole = jnp.asarray(whole)
        return whole.at[rows].set(part.astype(whole.dtype), unique_indices=True)

    part = jax.tree.map(lambda every, v: v[rows] if every else v, by_row, opt_state)
    drawn = weights[rows]
    updates, new = optimizer.update(gradient, part, drawn)
    if jax.tree.map(jnp.shape, new) != jax.tree.map(jnp.shape, part):
        raise ValueError(
            f"{name}: `optimizer` must keep the same of {len(rows)} rows as of"
            f" {len(weights)}; what it keeps depends on their number"
        )
    drawn = optax.apply_updates(drawn, updates)
    return put(True, weights, drawn), jax.tree.map(put, by_row, opt_state, new)


def _check_rows(name: str, rows: Any, number: int) -> None:
    """Raises ValueError for rows that are known, and not there or there twice."""
    known = known_array(rows)
    if known is None or not len(known):
        return
    if known.min() < 0 or known.max() >= number:
        raise ValueError(
            f"{name}: `rows` must be from 0 to {number - 1}, as `weights` has them, got"
            f" {known.min()} to {known.max()}"
        )
    if len(np.unique(known)) < len(known):
        raise ValueError(f"{name}: `rows` must have each row once, got some twice")


def _check_state(
    name: str, optimizer: optax.GradientTransformation, state: Any, weights: Array
) -> PyTree:
    """Raises ValueError unless the state is one for these weights.

    Returns:
        Of each leaf of the state, whether it has an entry for each row: its shape
        depends on the number of rows.
    """

    def shapes(number: int) -> PyTree:
        like = jax.ShapeDtypeStruct((number, *weights.shape[1:]), weights.dtype)
        return jax.eval_shape(optimizer.init, like)

    known, longer = shapes(len(weights)), shapes(len(weights) + 1)
    if jax.tree.map(jnp.shape, known) != jax.tree.map(jnp.shape, state):
        raise ValueError(
            f"{name}: `opt_state` must be of `optimizer.init(weights)`, for weights of"
            f" shape {weights.shape}"
        )
    by_row = jax.tree.map(lambda a, b: a.shape != b.shape, known, longer)
    for every, leaf in zip(*map(jax.tree.leaves, (by_row, known)), strict=True):
        if every and leaf.shape[0] != len(weights):
            raise ValueError(
                f"{name}: `optimizer` must keep a row for each class, or nothing of"
                f" it; its state has an array of shape {leaf.shape}"
            )
    return by_row
