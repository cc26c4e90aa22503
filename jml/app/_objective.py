"""The loss of a run, from the table of losses, and what its steps take as traced."""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array

from jml import losses
from jml._loss_specs import SPECS
from jml.app._config import Config
from jml.losses import Memory
from jml.training import Rates


class Hyper(NamedTuple):
    """Numbers a step takes as traced values: changing one does not recompile."""

    rates: Rates
    loss: dict[str, Any]  # the loss's hyperparameters by name
    ema: Any = 0.0  # decay of the moving average
    memory_warmup: Any = 0  # steps in which the memory stays empty


def objective_of(config: Config) -> Callable[..., Array]:
    """Returns ``objective(embeddings, labels, proxies, hyper, memory=None) -> loss``.

    The proxies are None where the loss has none.
    """
    of_batch = losses.make_objective(config.loss, **_choices(config))

    def objective(
        embeddings: Array,
        labels: Array,
        proxies: Array | None,
        hyper: Hyper,
        memory: Memory | None = None,
    ) -> Array:
        return of_batch(embeddings, labels, proxies, hyper.loss, memory=memory)

    return objective


def diagnostics_of(
    config: Config,
) -> Callable[[Array, Array, Array | None, Hyper], dict[str, Array]]:
    """Returns ``diagnostics(embeddings, labels, proxies, hyper)``, scalars by name."""
    diagnostics = losses.make_diagnostics(config.loss, **_choices(config))
    return lambda embeddings, labels, proxies, hyper: diagnostics(
        embeddings, labels, proxies, hyper.loss
    )


def loss_hyperparameters(config: Config) -> dict[str, float]:
    """The hyperparameters of a run's loss, by name."""
    return {h.name: getattr(config, h.name) for h in SPECS[config.loss].hyperparameters}


def _choices(config: Config) -> dict[str, str]:
    return {c.name: getattr(config, c.name) for c in SPECS[config.loss].choices}
