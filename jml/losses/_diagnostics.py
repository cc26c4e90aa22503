"""Diagnostics of a loss: what of a batch it still acts on, and mean distances.

They cost another matrix of pairs, which is little beside a network.
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

from ._objective import Objective, check_hyperparameters, make_objective

Diagnostics = Callable[..., dict[str, Float[Array, ""]]]


class Measured(NamedTuple):
    """A batch and its distances: what the fraction of active terms is computed from."""

    objective: Objective
    convention: str
    embeddings: Float[Array, "b d"]
    labels: Integer[Array, " b"]
    proxies: Float[Array, "c d"] | None
    hyperparameters: Mapping[str, Any]
    distances: Float[Array, "b n"]  # Euclidean: to the batch, or to the proxies
    positive: Bool[Array, "b n"]
    negative: Bool[Array, "b n"]
    miner: Any = None

    def loss(self, embeddings: Float[Array, "b d"] | None = None, **changed: Any):
        """The objective with other embeddings or hyperparameters."""
        return self.objective(
            self.embeddings if embeddings is None else embeddings,
            self.labels,
            self.proxies,
            {**self.hyperparameters, **changed},
            miner=self.miner,
        )


def make_diagnostics(name: str, **choices: Any) -> Diagnostics:
    """What to log of a batch beside its loss, to see whether the loss still learns.

    Each is a scalar: "positive_distance" and "negative_distance", the mean Euclidean
    distance of positive and of negative pairs (with proxies: of items and the proxy of
    their class, and the other proxies), scaled to length one where the loss does that,
    and "active":

    - contrastive: the fraction of negative pairs inside the margin;
    - triplet: the fraction of mined triplets whose term is above 0;
    - lifted: the fraction of positive pairs whose term is above 0;
    - proxy_nca: the fraction of items nearer to the proxy of another class;
    - a loss whose row names none of these: the fraction of items whose embedding has a
      gradient other than 0.

    Where there are no such pairs, a mean is NaN.

    Args:
        name: of the loss, as for `make_objective`.
        choices: static options of the loss, such as `mining`.

    Returns:
        ``diagnostics(embeddings, labels, proxies, hyperparameters)``, scalars by name;
        see `make_objective` for the arguments, of which it also takes `miner` by
        keyword: it changes "active" alone, where a gradient is needed for that. They
        pass no gradient.

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

    def diagnostics(embeddings, labels, proxies, hyperparameters, *, miner=None):
        embeddings, labels, _ = check_batch(name, embeddings, labels)
        check_hyperparameters(name, hyperparameters)
        embeddings, proxies = jax.lax.stop_gradient((embeddings, proxies))
        x = normalize(embeddings) if directions else embeddings
        if spec.proxies is None:
            squared = squared_distances(x)
            same = labels[:, None] == labels[None, :]
            positive = same & ~jnp.eye(len(labels), dtype=bool)
        else:
            squared = squared_distances(x, normalize(proxies))
            same = labels[:, None] == jnp.arange(len(proxies))[None, :]
            positive = same
        distances = euclidean_distances(squared)
        measured = Measured(
            objective,
            convention,
            embeddings,
            labels,
            proxies,
            hyperparameters,
            distances,
            positive,
            ~same,
            miner,
        )
        return {
            "active": active(measured),
            "positive_distance": jnp.mean(distances, where=positive),
            "negative_distance": jnp.mean(distances, where=~same),
        }

    return diagnostics


def _items_with_gradient(measured: Measured):
    gradient = jax.grad(measured.loss)(measured.embeddings)
    return jnp.mean(jnp.any(gradient != 0, axis=1), dtype=measured.distances.dtype)


def _negatives_within_margin(measured: Measured):
    # "original" compares squared distances with the margin, "paper" distances.
    power = 1 if measured.convention == "paper" else 2
    within = measured.distances**power < measured.hyperparameters["margin"]
    return jnp.mean(within, where=measured.negative)


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
    return jnp.asarray(measured.hyperparameters["margin"], measured.distances.dtype)


def _nearest_proxies(measured: Measured):
    def nearest(where):
        return jnp.min(measured.distances, axis=1, where=where, initial=jnp.inf)

    return jnp.mean(nearest(measured.negative) < nearest(measured.positive))


# By the `diagnostics` of a row: the fraction of what the loss still acts on.
ACTIVE: dict[str | None, Callable[[Measured], Float[Array, ""]]] = {
    None: _items_with_gradient,
    "negatives_within_margin": _negatives_within_margin,
    "slope_by_margin": _slope_by_margin,
    "curvature_by_margin": _curvature_by_margin,
    "nearest_proxies": _nearest_proxies,
}
