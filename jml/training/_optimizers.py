"""Optimizers and schedules by name, and a learning rate for each group of parameters.

Rates are arguments of the update and not part of the compiled program, so that a change
of one compiles nothing.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from jml._checks import check_choice
from jml._value_checks import check_fields


class Rates(NamedTuple):
    """Numbers that an update depends on. They are traced: any of them may change."""

    lr: Any = 1e-3  # learning rate of the parameters in group "lr"
    head_lr: Any = 1e-3  # ... of those in "head_lr", the last layer
    proxies_lr: Any = 1e-3  # ... of those in "proxies_lr", the loss's own
    weight_decay: Any = 0.0
    momentum: Any = 0.9  # for sgd and rmsprop
    clip_norm: Any = jnp.inf  # largest norm of the whole gradient
    warmup: Any = 0  # steps during which the rates rise
    decay_gamma: Any = 0.1  # schedule "step": factor of each decay
    decay_iter_step: Any = 1000  # schedule "step": steps between decays
    maxiter: Any = 1000  # schedule "cosine": steps until the rate is 0


def _decayed(rates: Rates, optimizer: optax.GradientTransformation):
    # Weight decay is part of the gradient, as in PyTorch's optimizers of these names.
    return optax.chain(optax.add_decayed_weights(rates.weight_decay), optimizer)


def _rmsprop(lr: Any, rates: Rates):
    # PyTorch applies momentum before the learning rate, optax.rmsprop after it.
    return optax.chain(
        optax.scale_by_rms(decay=0.99, eps_in_sqrt=False),
        optax.trace(rates.momentum),
        optax.scale_by_learning_rate(lr),
    )


GROUPS = ("lr", "head_lr", "proxies_lr", "frozen")
OPTIMIZERS: dict[str, Callable[[Any, Rates], optax.GradientTransformation]] = {
    "adam": lambda lr, r: _decayed(r, optax.adam(lr)),
    "adamw": lambda lr, r: optax.adamw(lr, weight_decay=r.weight_decay),
    "lamb": lambda lr, r: optax.lamb(lr, weight_decay=r.weight_decay),
    "lion": lambda lr, r: optax.lion(lr, weight_decay=r.weight_decay),
    "rmsprop": lambda lr, r: _decayed(r, _rmsprop(lr, r)),
    "sgd": lambda lr, r: _decayed(r, optax.sgd(lr, momentum=r.momentum)),
}


def _step_decay(rates: Rates, step: Any) -> Any:
    return rates.decay_gamma ** (step // rates.decay_iter_step)


def _cosine(rates: Rates, step: Any) -> Any:
    length = jnp.maximum(rates.maxiter - rates.warmup, 1)
    done = jnp.clip((step - rates.warmup) / length, 0, 1)
    return (1 + jnp.cos(jnp.pi * done)) / 2


SCHEDULES: dict[str, Callable[[Rates, Any], Any]] = {
    "step": _step_decay,
    "cosine": _cosine,
    "constant": lambda rates, step: jnp.ones(()),
}


def schedule_factor(schedule: str, rates: Rates, step: Any) -> Any:
    r"""Returns the factor of a schedule on all learning rates, at step t from 0.

    - "step": $\gamma^{\lfloor t / s \rfloor}$ with $\gamma$ = ``decay_gamma`` and s =
      ``decay_iter_step``, as PyTorch's ``StepLR``;
    - "cosine": half a cosine, from 1 at the end of the warm-up to 0 at ``maxiter``;
    - "constant": 1.

    In the warm-up, the first ``warmup`` steps, this is also multiplied by
    $(t + 1) / \text{warmup}$.

    Args:
        schedule: "step", "cosine" or "constant".
        rates: numbers of the schedule.
        step: one step, or an array of steps.

    >>> rates = Rates(decay_gamma=0.5, decay_iter_step=10, warmup=4)
    >>> [float(schedule_factor("step", rates, step)) for step in (0, 9, 20)]
    [0.25, 1.0, 0.25]
    """
    check_choice("schedule_factor", "schedule", schedule, SCHEDULES)
    check_fields("schedule_factor", "rates", rates, "warmup", "a Rates")
    warm = jnp.minimum((step + 1) / jnp.maximum(rates.warmup, 1), 1)
    return warm * SCHEDULES[schedule](rates, step)


def make_optimizer(
    groups: PyTree,
    *,
    optimizer: str = "adam",
    schedule: str = "step",
    clip: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Returns an optimizer with a learning rate for each group of parameters.

    Its ``update`` takes two more arguments by name: ``hyper``, whose field ``rates`` is
    a `Rates`, and ``step``, counted from 0. `make_step` passes both.

    Args:
        groups: a tree like the parameters, with a group in each leaf: "lr", "head_lr"
            or "proxies_lr", which are fields of `Rates`, or "frozen".
        optimizer: "adam", "adamw", "lamb", "lion", "rmsprop" or "sgd", with PyTorch's
            definition of weight decay and momentum where PyTorch has the optimizer.
        schedule: "step", "cosine" or "constant"; `schedule_factor` defines them.
        clip: first scale a gradient whose norm exceeds ``clip_norm`` down to it.

    Raises:
        ValueError: there is no such optimizer, schedule or group.
    """
    check_choice("make_optimizer", "optimizer", optimizer, OPTIMIZERS)
    check_choice("make_optimizer", "schedule", schedule, SCHEDULES)
    for group in [] if callable(groups) else jax.tree.leaves(groups) or [groups]:
        if group:  # an empty tree has no parameters
            check_choice("make_optimizer", "groups", group, GROUPS)

    def with_rates(rates: Rates, step: Any) -> optax.GradientTransformation:
        scale = schedule_factor(schedule, rates, step)
        by_rate: dict[Any, optax.GradientTransformation] = {
            name: OPTIMIZERS[optimizer](getattr(rates, name) * scale, rates)
            for name in ("lr", "head_lr", "proxies_lr")
        }
        by_rate["frozen"] = optax.set_to_zero()
        by_group = optax.partition(by_rate, groups)
        if not clip:
            return by_group
        return optax.chain(optax.clip_by_global_norm(rates.clip_norm), by_group)

    def update(updates, state, params=None, **arguments):
        current = with_rates(arguments["hyper"].rates, arguments["step"])
        return current.update(updates, state, params)

    return optax.GradientTransformationExtraArgs(
        lambda params: with_rates(Rates(), 0).init(params), update
    )
