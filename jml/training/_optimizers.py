"""Optimisers and schedules by name; learning rates by group of parameters."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jml.errors import UserError
from jml.models import batch_norm_mask

Tree = Any  # nested dictionaries of arrays


class Rates(NamedTuple):
    """Numbers that an update depends on, traced: changing one does not recompile."""

    lr: Any = 1e-3
    head_lr: Any = 1e-3
    proxies_lr: Any = 1e-3
    weight_decay: Any = 0.0
    momentum: Any = 0.9
    clip_norm: Any = jnp.inf
    warmup: Any = 0
    decay_gamma: Any = 0.1
    decay_iter_step: Any = 1000
    maxiter: Any = 1000


def _decayed(rates: Rates, optimizer: optax.GradientTransformation):
    # Weight decay as part of the gradient, as PyTorch's optimisers of these names do.
    return optax.chain(optax.add_decayed_weights(rates.weight_decay), optimizer)


def _rmsprop(lr: Any, rates: Rates):
    # optax.rmsprop has momentum after the learning rate; PyTorch has it before.
    return optax.chain(
        optax.scale_by_rms(decay=0.99, eps_in_sqrt=False),
        optax.trace(rates.momentum),
        optax.scale_by_learning_rate(lr),
    )


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


def factor(schedule: str, rates: Rates, step: Any) -> Any:
    r"""What a schedule multiplies learning rates by, at a step counted from 0.

    - "step": $\gamma^{\lfloor t / s \rfloor}$, PyTorch's ``StepLR``;
    - "cosine": from 1 after warm-up along half a cosine to 0 at ``maxiter``;
    - "constant": 1.

    Meanwhile the rate rises linearly: the steps before ``warmup`` have
    $(t + 1) / \text{warmup}$ of it.

    >>> rates = Rates(decay_gamma=0.5, decay_iter_step=10, warmup=4)
    >>> [float(factor("step", rates, step)) for step in (0, 9, 20)]
    [0.25, 1.0, 0.25]
    """
    warm = jnp.minimum((step + 1) / jnp.maximum(rates.warmup, 1), 1)
    return warm * SCHEDULES[schedule](rates, step)


def make_optimizer(
    labels: Tree,
    *,
    optimizer: str = "adam",
    schedule: str = "step",
    clip: bool = False,
) -> optax.GradientTransformationExtraArgs:
    """Updates each group of parameters at its own rate.

    Its ``update`` takes ``hyper``, of which ``hyper.rates`` counts, and ``step``.

    Args:
        labels: like the parameters, with the name of its group in each leaf: "lr",
            "head_lr" and "proxies_lr", after the rate that counts, or "frozen".
        optimizer: a key of ``OPTIMIZERS``.
        schedule: a key of ``SCHEDULES``.
        clip: first scale a gradient longer than ``clip_norm`` down to it.
    """

    def given(rates: Rates, step: Any) -> optax.GradientTransformation:
        scale = factor(schedule, rates, step)
        groups: dict[str, Any] = {
            name: OPTIMIZERS[optimizer](getattr(rates, name) * scale, rates)
            for name in ("lr", "head_lr", "proxies_lr")
        }
        groups["frozen"] = optax.set_to_zero()
        by_group = optax.partition(groups, labels)
        if not clip:
            return by_group
        return optax.chain(optax.clip_by_global_norm(rates.clip_norm), by_group)

    def update(gradients, state, params=None, *, hyper, step):
        return given(hyper.rates, step).update(gradients, state, params)

    return optax.GradientTransformationExtraArgs(
        lambda params: given(Rates(), 0).init(params), update
    )


def label_groups(
    params: Mapping[str, Tree],
    *,
    freeze: tuple[str, ...] = (),
    freeze_bn: bool = False,
    freeze_proxies: bool = False,
) -> dict[str, Tree]:
    """The group of each parameter, for ``make_optimizer``.

    Args:
        params: "model", a network of ``jml.models``, and perhaps "proxies".
        freeze: its layers to leave alone, as "conv1" or "layer1.0".
        freeze_bn: leave scales and shifts of BatchNorm alone.
        freeze_proxies: leave the proxies alone.

    Raises:
        UserError: there is no such layer.
    """
    for layer in freeze:
        _check_layer(layer, {**params["model"]["backbone"], "fc": {}})
    frozen = tuple(f"{layer}." for layer in freeze)

    def group(path: tuple[Any, ...], batch_norm: bool) -> str:
        name = ".".join(str(entry.key) for entry in path).removeprefix("backbone.")
        if (freeze_bn and batch_norm) or name.startswith(frozen):
            return "frozen"
        return "head_lr" if name.startswith("fc.") else "lr"

    mask = batch_norm_mask(params["model"])
    groups: dict[str, Tree] = {"model": jax.tree_util.tree_map_with_path(group, mask)}
    if "proxies" in params:
        groups["proxies"] = "frozen" if freeze_proxies else "proxies_lr"
    return groups


def _check_layer(layer: str, layers: Mapping[Any, Tree]) -> None:
    above: list[str] = []
    for word in layer.split("."):
        inside = {str(key): tree for key, tree in layers.items()}
        if not isinstance(inside.get(word), Mapping):
            known = [name for name, tree in inside.items() if isinstance(tree, Mapping)]
            choices = ", ".join(".".join([*above, name]) for name in known)
            raise UserError(
                f"--freeze: no layer {layer!r}; choose from"
                f" {choices or '.'.join(above)}."
            )
        above.append(word)
        layers = inside[word]
