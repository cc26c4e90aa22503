"""What trains in a run: devices, network, loss, optimizer, state and step."""

import math
from functools import partial
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from jml.app._config import Config, learned
from jml.data import augment, strong_augment
from jml.errors import UserError
from jml.models import create
from jml.training import (
    Rates,
    TrainState,
    init_state,
    label_groups,
    make_loss,
    make_optimizer,
    make_step,
    shardings_of,
)

from ._class_weights import ClassPlan, draw_weights, plan_classes
from ._objective import (
    Hyper,
    diagnostics_of,
    initial_learned,
    initial_memory,
    loss_hyperparameters,
    miner_numbers,
    needs_key,
    objective_of,
)

AUGMENTS = {"crop": augment, "strong": strong_augment}


class Training(NamedTuple):
    """What is needed to train: ``step(state, batch, key, hyper)``."""

    graphdef: Any
    state: TrainState
    step: Any  # compiled by jax.jit
    key: jax.Array
    hyper: Hyper
    notes: tuple[str, ...] = ()  # lines that the user should read


def pick_devices(cuda: bool | None) -> list[Any]:
    """Returns the devices for ``--cuda``, of all processes; None: JAX's choice.

    Raises:
        UserError: a GPU was asked for and JAX sees none.
    """
    try:
        return jax.devices({None: None, True: "gpu", False: "cpu"}[cuda])
    except RuntimeError:
        raise UserError(
            "--cuda: JAX sees no GPU here; install jax[cuda13] or leave --cuda out."
        ) from None


def build(
    config: Config,
    *,
    num_classes: int,
    mesh: Mesh | None = None,
    initial_weights: bool = True,
) -> Training:
    """Makes the network, the loss and the optimizer of a run.

    Args:
        config: configuration of the run.
        num_classes: how many classes the training images have.
        mesh: the devices that share each batch.
        initial_weights: read ``config.weights``; False if a checkpoint replaces all
            parameters.

    Raises:
        UserError: weights, frozen layers or the batch do not fit.
    """
    if mesh is not None:
        check_divides(config, mesh.size)
    model = create(
        config.arch,
        embedding_dim=config.embedding_dim,
        l2norm=config.l2norm,
        weights=config.weights if initial_weights else "none",
        seed=config.seed,
    )
    key = jax.random.key(config.seed)
    params: dict[str, Any] = {"model": model.params}
    plan = plan_classes(config, num_classes, mesh)
    if plan is not None:
        params["proxies"] = draw_weights(config, plan, jax.random.fold_in(key, 0))
    if learned(config):
        params["loss"] = initial_learned(config, num_classes)
    groups = label_groups(
        params,
        freeze=tuple(filter(None, (config.freeze or "").replace(" ", "").split(","))),
        freeze_bn=config.freeze_bn,
        freeze_proxies=config.proxies == "fixed",
    )
    optimizer = make_optimizer(
        groups,
        optimizer=config.optimizer,
        schedule=config.schedule,
        clip=config.clip_norm is not None,
    )
    loss_of = _make_loss(config, model.graphdef, groups, mesh, plan)
    state = init_state(
        params,
        model.batch_stats,
        optimizer,
        average=config.ema is not None,
        memory=initial_memory(config),
    )
    return Training(
        model.graphdef,
        state,
        make_step(
            loss_of,
            optimizer,
            skip_nan=config.on_nan == "skip",
            mesh=mesh,
            shardings=None if mesh is None else shardings_of(mesh, state),
        ),
        jax.random.fold_in(key, 1),
        _hyper(config),
        () if plan is None else plan.notes,
    )


def _make_loss(
    config: Config,
    graphdef: Any,
    groups: Any,
    mesh: Mesh | None,
    plan: ClassPlan | None,
) -> Any:
    # A mirrored photograph shows the same thing; a mirrored character does not.
    flip = config.dataset != "glyphs"
    return make_loss(
        graphdef,
        objective_of(config, plan),
        augment=partial(AUGMENTS[config.augment], crop=config.image_size, flip=flip),
        groups=groups,
        diagnostics=diagnostics_of(config, plan),
        freeze_bn=config.freeze_bn,
        microbatch=config.microbatch,
        bfloat16=config.precision == "bfloat16",
        random=needs_key(config, plan),
        mesh=mesh,
    )


def _hyper(config: Config) -> Hyper:
    return Hyper(
        _rates(config),
        loss_hyperparameters(config),
        ema=config.ema or 0.0,
        memory_warmup=config.memory_warmup or 0,
        miner=miner_numbers(config),
    )


def _rates(config: Config) -> Rates:
    """Returns the rates of a run; a setting of None leaves the default of `Rates`."""
    settings = {name: getattr(config, name, None) for name in Rates._fields}
    settings["proxies_lr"] = config.loss_lr
    rates = {name: value for name, value in settings.items() if value is not None}
    return Rates(**{"head_lr": config.lr, **rates})


def check_divides(config: Config, devices: int) -> None:
    """Checks that each device gets as many images as the others.

    Raises:
        UserError: it does not; the error names the flag, and sizes that work.
    """
    for name in ("batch_size", "microbatch"):
        size = getattr(config, name)
        if size is not None and size % devices:
            pk = name == "batch_size" and config.sampler == "pk"
            unit = math.lcm(devices, config.images_per_class if pk else 1)
            below, above = size - size % unit, size + -size % unit
            raise UserError(
                f"--{name}: {size} images cannot be divided among {devices} devices;"
                f" pass {f'{below} or ' * (below > 0)}{above}."
            )
