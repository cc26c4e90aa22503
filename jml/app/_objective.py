"""The losses the command offers, brought to one signature."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from jaxtyping import Array, Float, Int

from jml.app._config import Config
from jml.losses import contrastive_loss, lifted_loss, proxy_nca_loss, triplet_loss
from jml.training import Rates

LOSSES: dict[str, Callable[..., Array]] = {
    "contrastive": contrastive_loss,
    "triplet": triplet_loss,
    "lifted": lifted_loss,
    "proxy_nca": proxy_nca_loss,
}


class Hyperparameters(NamedTuple):
    """Numbers a step takes as traced values: changing one does not recompile."""

    rates: Rates
    margin: float = 0.0
    scale: float = 1.0
    ema: float = 0.0  # decay of the moving average


Objective = Callable[
    [
        Float[Array, "b d"],
        Int[Array, " b"],
        Float[Array, "c d"] | None,
        Hyperparameters,
    ],
    Array,
]


def make_objective(config: Config) -> Objective:
    """Returns ``objective(embeddings, labels, proxies, hyper) -> loss``.

    Proxies are None where the loss has none.
    """
    loss = LOSSES[config.loss]
    if config.proxies is not None:
        return lambda embeddings, labels, proxies, hyper: loss(
            embeddings, labels, proxies, scale=hyper.scale
        )
    loss = partial(loss, convention=config.convention)
    if config.mining is not None:
        loss = partial(loss, mining=config.mining)
    return lambda embeddings, labels, proxies, hyper: loss(
        embeddings, labels, margin=hyper.margin
    )
