"""The objective of each row of the table of losses: its function, in one signature."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from jaxtyping import Array

from jml._checks import check_choice
from jml._loss_specs import SPECS
from jml._value_checks import check_type

# Of (embeddings, labels, proxies, hyperparameters by name, memory=).
Objective = Callable[..., Array]


def function_of(name: str) -> Callable[..., Array]:
    """The function of a loss: this module's package exports NAME_loss.

    It is looked up in a call, because the package imports this module before it is
    whole.
    """
    package = __name__.rpartition(".")[0]
    return getattr(sys.modules[package], f"{name}_loss")


def check_hyperparameters(name: str, hyperparameters: Any) -> None:
    """Raises ValueError unless the mapping has those of the loss."""
    check_type(name, "hyperparameters", hyperparameters, Mapping, "a mapping")
    missing = [h.name for h in SPECS[name].hyperparameters]
    missing = [wanted for wanted in missing if wanted not in hyperparameters]
    if missing:
        raise ValueError(f"{name}: `hyperparameters` lacks {', '.join(missing)}")


def make_objective(name: str, **choices: str) -> Objective:
    """A loss by its name, with the signature that all losses share.

    Args:
        name: "contrastive", "triplet", "lifted" or another row of the table of losses.
        choices: static options of the loss, such as `mining`.

    Returns:
        ``objective(embeddings, labels, proxies, hyperparameters, *, memory=None)``, a
        scalar. Proxies are None where the loss has none. Of the mapping of
        hyperparameters it takes those that the loss has.

    Raises:
        ValueError: for an unknown name or choice, and by the returned function for
            hyperparameters that the loss lacks, or a memory that it does not take.

    Example:
        >>> import jax.numpy as jnp
        >>> objective = make_objective("triplet", mining="hardest")
        >>> x, labels = jnp.array([[0.0], [0.5], [0.6]]), jnp.array([0, 0, 1])
        >>> print(f"{objective(x, labels, None, {'margin': 1.0}):.4f}")
        0.9500
    """
    check_choice("make_objective", "name", name, SPECS)
    spec = SPECS[name]
    known = {choice.name: choice.choices for choice in spec.choices}
    for choice, value in choices.items():
        check_choice("make_objective", "choices", choice, known)
        check_choice("make_objective", choice, value, known[choice])

    def objective(embeddings, labels, proxies, hyperparameters, *, memory=None):
        loss = partial(function_of(name), **choices)
        check_hyperparameters(name, hyperparameters)
        keywords = {h.name: hyperparameters[h.name] for h in spec.hyperparameters}
        shared = {"memory": memory}
        for argument, value in shared.items():
            if value is not None and argument not in spec.takes:
                raise ValueError(
                    f"{name}: `{argument}` must be None, because the loss does not"
                    f" take it, got a {type(value).__name__}"
                )
            if value is not None:
                keywords[argument] = value
        if spec.proxies is None:
            return loss(embeddings, labels, **keywords)
        return loss(embeddings, labels, proxies, **keywords)

    return objective
