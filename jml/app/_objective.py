"""The loss of a run, from the table of losses, and what its steps take as traced."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jml import losses, miners
from jml._loss_specs import SPECS
from jml._miner_specs import MINERS
from jml.app._config import Config, learned
from jml.losses import Lengths, Memory, update_lengths
from jml.training import Rates

from ._class_weights import ClassPlan, ClassView, on_classes


class Hyper(NamedTuple):
    """Numbers a step takes as traced values: changing one does not recompile."""

    rates: Rates
    loss: dict[str, Any]  # the loss's hyperparameters by name
    ema: Any = 0.0  # decay of the moving average
    memory_warmup: Any = 0  # steps in which the memory stays empty
    miner: Any = None  # the miner's numbers by name


def needs_key(config: Config, plan: ClassPlan | None = None) -> bool:
    """Whether the objective of a run draws at random, and so needs a ``key=``."""
    of_miner = config.miner is not None and MINERS[config.miner].random
    of_sample = plan is not None and plan.sample is not None
    return of_miner or of_sample or "key" in SPECS[config.loss].takes


def objective_of(config: Config, plan: ClassPlan | None = None) -> Callable[..., Array]:
    """Returns ``objective(embeddings, labels, proxies, hyper) -> loss``.

    The proxies are None where the loss has none; by the `plan` of a run they are spread
    over devices, and sampled. The objective also takes, by keyword, `learned` from
    `initial_learned`, a `key` for what it draws, and a `memory`: earlier batches, or
    their lengths.
    """
    of_batch = losses.make_objective(config.loss, **_choices(config))
    reduction = None if config.reduction == "mean" else config.reduction

    def objective(
        embeddings: Array,
        labels: Array,
        proxies: Array | None,
        hyper: Hyper,
        learned: dict[str, Array] | None = None,
        key: Array | None = None,
        memory: Memory | Lengths | None = None,
    ) -> Array:
        miner, lengths = _miner(config, hyper, key), None
        if isinstance(memory, Lengths):
            memory, lengths = None, update_lengths(memory, embeddings)

        def of_classes(embeddings, labels, proxies, shared, view: ClassView) -> Array:
            numbers, key, lengths = shared
            return of_batch(
                embeddings,
                labels,
                proxies,
                numbers,
                memory=memory,
                miner=miner,
                reduction=reduction,
                key=key,
                lengths=lengths,
                classes=view.classes,
                axis_name=view.axis_name,
                class_axis_name=view.axis_name,
            )

        numbers = _numbers(config, hyper, learned)
        shared = numbers, _key_of_loss(config, key), lengths
        return on_classes(plan, of_classes, embeddings, labels, proxies, shared, key)

    return objective


def diagnostics_of(
    config: Config, plan: ClassPlan | None = None
) -> Callable[..., dict[str, Array]]:
    """Returns ``diagnostics(embeddings, labels, proxies, hyper)``, scalars by name.

    It takes `learned` and `key`, too, and sees the classes that the objective sees. A
    number that is learned is among the scalars; of one for each class, their mean.
    """
    of_batch = losses.make_diagnostics(config.loss, **_choices(config))

    def diagnostics(
        embeddings: Array,
        labels: Array,
        proxies: Array | None,
        hyper: Hyper,
        learned: dict[str, Array] | None = None,
        key: Array | None = None,
    ) -> dict[str, Array]:
        numbers = _numbers(config, hyper, learned)
        miner = _miner(config, hyper, key)

        def of_classes(embeddings, labels, proxies, numbers, view: ClassView):
            return of_batch(
                embeddings,
                labels,
                proxies,
                numbers,
                miner=miner,
                classes=view.classes,
                axis_name=view.axis_name,
                class_axis_name=view.axis_name,
            )

        batch = embeddings, labels, proxies
        measured = on_classes(plan, of_classes, *batch, numbers, key)
        return measured | {name: jnp.mean(numbers[name]) for name in learned or {}}

    return diagnostics


def initial_learned(config: Config, num_classes: int) -> dict[str, Array]:
    """The parameters for the hyperparameters that a run trains, by name.

    They are 0 at first, where the hyperparameter is what the flag says. So the decay of
    weights pulls towards that.
    """
    shapes = {"number": (), "class": (num_classes,)}
    zeros = {h.name: np.zeros(shapes[h.learned or ""]) for h in learned(config)}
    return jax.device_put(zeros)


def initial_memory(config: Config) -> Memory | Lengths | None:
    """What the loss of a run keeps of earlier batches, before there are any."""
    if "lengths" in SPECS[config.loss].takes:
        return losses.init_lengths()
    if config.memory is None:
        return None
    return losses.init_memory(config.memory, config.embedding_dim)


def _numbers(
    config: Config, hyper: Hyper, parameters: dict[str, Array] | None
) -> dict[str, Any]:
    """The hyperparameters of the loss, with those that are trained as they are now."""
    numbers = dict(hyper.loss)
    if parameters is not None:
        for h in learned(config):
            start, moved = numbers[h.name], parameters[h.name]
            numbers[h.name] = start * jnp.exp(moved) if h.positive else start + moved
    return numbers


def _key_of_loss(config: Config, key: Array | None) -> Array | None:
    """The key from which the loss itself draws, apart from that of a sample."""
    if key is None or "key" not in SPECS[config.loss].takes:
        return None
    # Devices draw their samples from the key and their number: this is no such number.
    return jax.random.fold_in(key, 2**31 - 1)


def _miner(config: Config, hyper: Hyper, key: Array | None) -> Any:
    """The miner of a run, or None."""
    if config.miner is None:
        return None
    spec, function = MINERS[config.miner], getattr(miners, config.miner)
    words = {c.name: getattr(config, f"miner_{c.name}") for c in spec.choices}
    return function(*[key] * spec.random, **hyper.miner, **words)


def miner_numbers(config: Config) -> dict[str, float]:
    """The numbers of a run's miner, by name."""
    numbers = () if config.miner is None else MINERS[config.miner].numbers
    return {h.name: getattr(config, f"miner_{h.name}") for h in numbers}


def loss_hyperparameters(config: Config) -> dict[str, float]:
    """The hyperparameters of a run's loss, by name."""
    return {h.name: getattr(config, h.name) for h in SPECS[config.loss].hyperparameters}


def _choices(config: Config) -> dict[str, Any]:
    return {c.name: getattr(config, c.name) for c in SPECS[config.loss].choices}
