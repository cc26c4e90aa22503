"""The losses the command offers, brought to one signature."""

from collections.abc import Callable
from functools import partial
from typing import Any

from jaxtyping import Array, Float, Int

from jml.losses import contrastive_loss, lifted_loss, proxy_nca_loss, triplet_loss

from .config import Config

LOSSES: dict[str, Callable[..., Array]] = {
    "contrastive": contrastive_loss,
    "triplet": triplet_loss,
    "lifted": lifted_loss,
    "proxy_nca": proxy_nca_loss,
}

Objective = Callable[
    [Float[Array, "b d"], Int[Array, " b"], Float[Array, "c d"] | None, Any], Array
]


def make_objective(config: Config) -> Objective:
    """Returns ``objective(embeddings, labels, proxies, margin) -> loss``.

    Proxies are None, and the margin is ignored, where the loss has none.
    """
    loss = LOSSES[config.loss]
    if config.proxies is not None:
        return lambda embeddings, labels, proxies, margin: loss(
            embeddings, labels, proxies
        )
    loss = partial(loss, convention=config.convention)
    if config.mining is not None:
        loss = partial(loss, mining=config.mining)
    return lambda embeddings, labels, proxies, margin: loss(
        embeddings, labels, margin=margin
    )
