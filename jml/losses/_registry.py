"""From a row of the registry to its functions, all brought to one signature."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from jaxtyping import Array

import jml.losses
from jml._loss_specs import SPECS, LossSpec

# Of (embeddings, labels, proxies, hyperparameters by name).
Objective = Callable[[Array, Array, Array | None, Mapping[str, Any]], Array]


def function_of(spec: LossSpec) -> Callable[..., Array]:
    """The public function of a loss."""
    return getattr(jml.losses, spec.function)


def init_function_of(spec: LossSpec) -> Callable[..., Array] | None:
    """The public function that draws a loss's proxies, if it has any."""
    return spec.proxies and getattr(jml.losses, spec.proxies.init)


def make_objective(name: str, **choices: str) -> Objective:
    """Returns ``objective(embeddings, labels, proxies, hyperparameters) -> loss``.

    Of a mapping of hyperparameters it takes those that the loss has. Proxies are None
    where the loss has none.

    Args:
        name: a key of the registry.
        choices: the loss's static options.
    """
    spec = SPECS[name]
    names = [h.name for h in spec.hyperparameters]

    def objective(embeddings, labels, proxies, hyperparameters):
        loss = partial(function_of(spec), **choices)
        given = {name: hyperparameters[name] for name in names}
        if spec.proxies is None:
            return loss(embeddings, labels, **given)
        return loss(embeddings, labels, proxies, **given)

    return objective
