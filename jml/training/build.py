"""From a ``Config`` to what trains: device, network, loss, state and step."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax

from jml.data import augment, strong_augment
from jml.errors import UserError
from jml.losses import init_proxies
from jml.models import create

from .config import Config
from .objective import Hyperparameters, make_objective
from .step import TrainState, init_state, make_optimizer, make_step

AUGMENTS = {"crop": augment, "strong": strong_augment}


class Training(NamedTuple):
    """A network ready to train: ``step(state, images, labels) -> (state, loss)``."""

    graphdef: Any
    state: TrainState
    hyper: Hyperparameters
    step: Callable[..., tuple[TrainState, jax.Array]]


def pick_device(cuda: bool | None) -> jax.Device | None:
    """The device for ``--cuda``; None leaves the choice to JAX.

    Raises:
        UserError: a GPU was asked for and JAX sees none.
    """
    if cuda is None:
        return None
    try:
        return jax.devices("gpu" if cuda else "cpu")[0]
    except RuntimeError:
        raise UserError(
            "--cuda: JAX sees no GPU here; install jax[cuda13] or leave --cuda out."
        ) from None


def build(config: Config, *, num_classes: int) -> Training:
    """Makes the network, the loss and the optimizer of a run."""
    model = create(
        config.arch,
        embedding_dim=config.embedding_dim,
        l2norm=config.l2norm,
        weights=config.weights,
        seed=config.seed,
    )
    params: dict[str, Any] = {"model": model.params}
    key = jax.random.key(config.seed)
    if config.proxies is not None:
        params["proxies"] = init_proxies(
            jax.random.fold_in(key, 0),
            num_classes=num_classes,
            dim=config.embedding_dim,
        )
    optimizer = make_optimizer(
        params, freeze_bn=config.freeze_bn, freeze_proxies=config.proxies == "fixed"
    )
    # A mirrored photograph is one of the same thing; a mirrored character is not.
    flip = config.dataset != "glyphs"
    step = make_step(
        model.graphdef,
        make_objective(config),
        optimizer,
        augment=partial(AUGMENTS[config.augment], crop=config.image_size, flip=flip),
        freeze_bn=config.freeze_bn,
        microbatch=config.microbatch,
        bfloat16=config.precision == "bfloat16",
    )
    # What the loss does not have is None there, and the default here.
    given = {name: getattr(config, name) for name in Hyperparameters._fields}
    hyper = Hyperparameters(**{k: v for k, v in given.items() if v is not None})
    augment_key = jax.random.fold_in(key, 1)
    return Training(
        model.graphdef,
        init_state(params, model.batch_stats, optimizer),
        hyper,
        lambda state, images, labels: step(state, hyper, augment_key, images, labels),
    )
