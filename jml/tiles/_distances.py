"""Distances of items to classes, summed and compared a tile of classes at a time."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from jml.distances import as_compute, euclidean_distances
from jml.pairwise import on_auto_axes, psum

from ._arguments import ClassBatch, check_class_batch
from ._cut import fold, take
from ._inputs import Data, Inputs, Setting, sides_of
from ._spread import Spread, of_own
from ._tile import make_tile, unit_centers


class ClassDistances(NamedTuple):
    """Of each item, the distances to the nearest center of its class and of others."""

    own: Float[Array, " b"]  # infinite for an item whose class has no weights
    nearest: Float[Array, " b"]  # of another class; infinite if there is none
    total: Float[Array, " b"]  # the sum over all other classes
    others: Float[Array, " b"]  # the number of these
    known: Bool[Array, " b"]  # whether the class of the item has weights


def class_distances(name: str, batch: ClassBatch) -> ClassDistances:
    """Euclidean distances of embeddings to class weights of length one.

    Embeddings are taken as they are. No matrix of items and classes is kept, and
    nothing passes a gradient.

    Args:
        name: the name of the caller, with which errors begin.
        batch: the embeddings, the class weights, and the other arguments that losses of
            class weights share.

    Returns:
        The distances of this device's items, to the classes of all devices.

    Raises:
        ValueError: for a wrong type, shape or dtype.

    Example:
        >>> x, labels = jnp.array([[1.0, 0.0]]), jnp.array([0])
        >>> weights = jnp.array([[0.0, 2.0], [-1.0, 0.0], [1.0, 0.0]])
        >>> found = class_distances("class_distances", ClassBatch(x, labels, weights))
        >>> print(f"{found.own[0]:.2f} {found.nearest[0]:.2f} {found.total[0]:.2f}")
        1.41 0.00 2.00
    """
    batch = check_class_batch(name, batch, "mean")
    spread = Spread.over(batch.axis_name, batch.class_axis_name)
    setting = Setting(spread, batch.block_size)
    given = batch.embeddings, batch.weights, batch.labels, batch.where, batch.classes
    measure = partial(_measure, setting=setting)
    return on_auto_axes(measure, *jax.lax.stop_gradient(given))


def _measure(embeddings, weights, labels, where, classes, *, setting) -> ClassDistances:
    number, spread = len(embeddings), setting.spread
    x = as_compute(embeddings)
    if jnp.finfo(weights.dtype).bits > jnp.finfo(x.dtype).bits:
        x = x.astype(weights.dtype)
    where = jnp.ones(number, bool) if where is None else where
    data = Data(jnp.asarray(labels), where, classes)
    items, every, cut = sides_of(Inputs(x, weights, {}, {}), data, setting)
    far = jnp.full_like(items.embeddings[:, 0], jnp.inf)
    none = jnp.zeros_like(far)

    def add_tile(found: ClassDistances, turn: Any) -> ClassDistances:
        part = take(*every, cut, turn)
        tile = make_tile(items, unit_centers(part.weights, x.dtype), part, "squared")
        distance = euclidean_distances(jnp.min(jnp.stack(tile.values), axis=0))

        def nearest(of: Bool[Array, "b t"]) -> Float[Array, " b"]:
            return jnp.min(distance, axis=1, where=of, initial=jnp.inf)

        return ClassDistances(
            jnp.minimum(found.own, nearest(tile.own)),
            jnp.minimum(found.nearest, nearest(tile.other)),
            found.total + jnp.sum(distance, axis=1, where=tile.other),
            found.others + jnp.sum(tile.other, axis=1, dtype=none.dtype),
            found.known | jnp.any(tile.own, axis=1),
        )

    start = ClassDistances(far, far, none, none, jnp.zeros(far.shape, bool))
    found = fold(add_tile, start, cut, (x, weights))
    return of_own(_over_devices(found, spread), number, spread)


def _over_devices(found: ClassDistances, spread: Spread) -> ClassDistances:
    """The distances to the classes of all devices."""
    axes = spread.classes or None
    if axes is None:
        return found
    return ClassDistances(
        jax.lax.pmin(found.own, axes),
        jax.lax.pmin(found.nearest, axes),
        psum(found.total, axes),
        psum(found.others, axes),
        psum(found.known.astype(jnp.int32), axes) > 0,
    )
