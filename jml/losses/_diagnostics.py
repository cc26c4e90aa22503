"""Diagnostics of a loss: what of a batch it still acts on, and mean distances.

They cost another matrix of pairs, which is little beside a network. That of items and
classes is made in tiles.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_choice
from jml._label_checks import check_batch
from jml._loss_specs import CONVENTION, SPECS
from jml.distances import euclidean_distances, normalize, squared_distances
from jml.pairwise import psum
from jml.tiles import ClassBatch, ClassDistances, class_distances

from ._objective import Objective, check_hyperparameters, make_objective

Diagnostics = Callable[..., dict[str, Float[Array, ""]]]


class Distances(NamedTuple):
    """Euclidean distances between the items of a batch, and which pairs they are."""

    matrix: Float[Array, "b b"]
    positive: Bool[Array, "b b"]
    negative: Bool[Array, "b b"]


class Measured(NamedTuple):
    """A batch and its distances: what the fraction of active terms is computed from."""

    objective: Objective
    convention: str
    embeddings: Float[Array, "b d"]
    labels: Integer[Array, " b"]
    hyperparameters: Mapping[str, Any]
    distances: Distances
    miner: Any = None

    def loss(self, embeddings: Float[Array, "b d"] | None = None, **changed: Any):
        """The objective with other embeddings or hyperparameters."""
        return self.objective(
            self.embeddings if embeddings is None else embeddings,
            self.labels,
            None,
            {**self.hyperparameters, **changed},
            miner=self.miner,
        )


def make_diagnostics(name: str, **choices: Any) -> Diagnostics:
    """What to log of a batch beside its loss, to see whether the loss still learns.

    Each is a scalar: "positive_distance" and "negative_distance", the mean Euclidean
    distance of positive and of negative pairs, scaled to length one where the loss does
    that, and "active":

    - contrastive: the fraction of negative pairs inside the margin;
    - triplet: the fraction of mined triplets whose term is above 0;
    - lifted: the fraction of positive pairs whose term is above 0;
    - a loss of proxies or class weights: the fraction of items nearer to another class;
    - a loss whose row names none of these: the fraction of items whose embedding has a
      gradient other than 0.

    With class weights, pairs are of an item and a class: its own, or another. Of
    several centers the nearest counts. There is one number more, "unknown_labels": how
    many items are of a class without weights. They are in no positive pair, and
    "active" leaves them out.

    Where there are no such pairs, a mean is NaN.

    Args:
        name: of the loss, as for `make_objective`.
        choices: static options of the loss, such as `mining`.

    Returns:
        ``diagnostics(embeddings, labels, proxies, hyperparameters)``, scalars by name;
        see `make_objective` for the arguments, of which it also takes these by keyword:
        `miner`, which changes "active" alone, where a gradient is needed for that; and
        with class weights `classes`, `axis_name` and `class_axis_name`. They pass no
        gradient.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> diagnostics = make_diagnostics("contrastive", convention="paper")
        >>> x, labels = jnp.array([[0.0], [0.5], [0.6]]), jnp.array([0, 0, 1])
        >>> measured = diagnostics(x, labels, None, {"margin": 0.3})
        >>> {name: round(float(value), 2) for name, value in measured.items()}
        {'active': 0.5, 'positive_distance': 0.5, 'negative_distance': 0.35}
    """
    check_choice("make_diagnostics", "name", name, SPECS)
    objective = make_objective(name, **choices)
    spec = SPECS[name]
    convention = choices.get("convention", CONVENTION.default)
    active = ACTIVE[spec.diagnostics]
    as_they_are = choices.get("similarity") == "dot" or not choices.get("normalized", 1)
    directions = spec.unit_length and not as_they_are

    def diagnostics(
        embeddings,
        labels,
        proxies,
        hyperparameters,
        *,
        miner=None,
        classes=None,
        axis_name=None,
        class_axis_name=None,
    ):
        embeddings, labels, _ = check_batch(name, embeddings, labels)
        check_hyperparameters(name, hyperparameters)
        embeddings = jax.lax.stop_gradient(embeddings)
        x = normalize(embeddings) if directions else embeddings
        if spec.proxies is not None:
            word, axes = spec.proxies.argument, (axis_name, class_axis_name)
            batch = ClassBatch(x, labels, proxies, None, classes, None, *axes, word)
            return _of_classes(class_distances(name, batch), batch)
        same = labels[:, None] == labels[None, :]
        distances = Distances(
            euclidean_distances(squared_distances(x)),
            same & ~jnp.eye(len(labels), dtype=bool),
            ~same,
        )
        batch = embeddings, labels, hyperparameters
        measured = Measured(objective, convention, *batch, distances, miner)
        matrix, positive, negative = distances
        return {
            "active": active(measured),
            "positive_distance": jnp.mean(matrix, where=positive),
            "negative_distance": jnp.mean(matrix, where=negative),
        }

    return diagnostics


def _of_classes(found: ClassDistances, batch: ClassBatch) -> dict[str, Array]:
    """The diagnostics of class weights, from the distances of this device's items."""

    def total(values: Array) -> Array:
        dtype = found.total.dtype
        return psum(jnp.sum(values, dtype=dtype), batch.axis_name)

    own = jnp.where(found.known, found.own, 0)
    known = total(found.known)
    return {
        "active": total(found.known & (found.nearest < own)) / known,
        "positive_distance": total(own) / known,
        "negative_distance": total(found.total) / total(found.others),
        "unknown_labels": total(~found.known),
    }


def _items_with_gradient(measured: Measured):
    gradient = jax.grad(measured.loss)(measured.embeddings)
    dtype = measured.distances.matrix.dtype
    return jnp.mean(jnp.any(gradient != 0, axis=1), dtype=dtype)


def _negatives_within_margin(measured: Measured):
    # "original" compares squared distances with the margin, "paper" distances.
    power = 1 if measured.convention == "paper" else 2
    within = measured.distances.matrix**power < measured.hyperparameters["margin"]
    return jnp.mean(within, where=measured.distances.negative)


def _slope_by_margin(measured: Measured):
    # The mean of [s + m]+ over triplets grows with m by the fraction above 0.
    return jax.grad(lambda margin: measured.loss(margin=margin))(_margin(measured))


def _curvature_by_margin(measured: Measured):
    # The mean of [j + m]+^2 / 2 over pairs curves by the fraction above 0.
    def slope(margin):
        one = jnp.ones_like(margin)
        return jax.jvp(lambda m: measured.loss(margin=m), (margin,), (one,))[1]

    margin = _margin(measured)
    return jax.jvp(slope, (margin,), (jnp.ones_like(margin),))[1]


def _margin(measured: Measured) -> Float[Array, ""]:
    dtype = measured.distances.matrix.dtype
    return jnp.asarray(measured.hyperparameters["margin"], dtype)


# By the `diagnostics` of a row: the fraction of what the loss still acts on.
ACTIVE: dict[str | None, Callable[[Measured], Float[Array, ""]]] = {
    None: _items_with_gradient,
    "negatives_within_margin": _negatives_within_margin,
    "slope_by_margin": _slope_by_margin,
    "curvature_by_margin": _curvature_by_margin,
}
