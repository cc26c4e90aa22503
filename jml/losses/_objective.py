"""The objective of each row of the table of losses: its function, in one signature."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_choice
from jml._label_checks import check_batch
from jml._loss_specs import SPECS
from jml._value_checks import check_type
from jml.pairwise import on_auto_axes

# Of (embeddings, labels, proxies, hyperparameters by name), and what losses share.
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


def split_views(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
) -> tuple[Float[Array, "c d"], Float[Array, "c d"], Bool[Array, " c"]]:
    """The first and the second item of each class of a batch, as two views.

    There may be as many classes with two items as half of the batch. Where there are
    fewer, the last of these pairs are not valid.

    Returns:
        The first items, the second items, and which pairs are valid.
    """

    def split(embeddings, labels):
        order = jnp.argsort(labels, stable=True)
        same = jnp.diff(labels[order]) == 0  # as the next in this order
        begins = same & ~jnp.pad(same, (1, 0))[:-1]
        size = len(labels) // 2
        (place,) = jnp.nonzero(begins, size=size, fill_value=0)
        valid = jnp.arange(size) < jnp.sum(begins)
        return embeddings[order[place]], embeddings[order[place + 1]], valid

    return on_auto_axes(split, jnp.asarray(embeddings), jnp.asarray(labels))


def _taken(name: str, **shared: Any) -> dict[str, Any]:
    """Those of the arguments that are not None, which the loss has to take."""
    given = {key: value for key, value in shared.items() if value is not None}
    for argument, value in given.items():
        if argument not in SPECS[name].takes:
            raise ValueError(
                f"{name}: `{argument}` must be None, because the loss does not take it,"
                f" got a {type(value).__name__}"
            )
    return given


def make_objective(name: str, **choices: Any) -> Objective:
    """A loss by its name, with the signature that all losses share.

    Args:
        name: "contrastive", "triplet", "lifted" or another row of the table of losses.
        choices: static options of the loss, such as `mining`.

    Returns:
        ``objective(embeddings, labels, proxies, hyperparameters)``, a scalar. It takes
        `memory`, `miner`, `reduction`, `lengths`, `key`, `classes` and
        `class_axis_name` by keyword, as far as the loss does, and `axis_name`. Proxies
        are None where the loss has none. Of the mapping of hyperparameters it takes
        those that the loss has. A loss of two views takes the first and the second item
        of each class for them, and leaves other items out.

    Raises:
        ValueError: for an unknown name or choice, and by the returned function for
            hyperparameters that the loss lacks, or a keyword that it does not take.

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

    def objective(
        embeddings,
        labels,
        proxies,
        hyperparameters,
        *,
        memory=None,
        miner=None,
        reduction=None,
        lengths=None,
        key=None,
        classes=None,
        axis_name=None,
        class_axis_name=None,
    ):
        loss = partial(function_of(name), **choices)
        check_hyperparameters(name, hyperparameters)
        keywords = {h.name: hyperparameters[h.name] for h in spec.hyperparameters}
        keywords |= _taken(
            name,
            memory=memory,
            miner=miner,
            reduction=reduction,
            lengths=lengths,
            key=key,
            classes=classes,
            class_axis_name=class_axis_name,
        )
        if axis_name is not None:  # which all losses take
            keywords["axis_name"] = axis_name
        if spec.views:
            embeddings, labels, _ = check_batch(name, embeddings, labels)
            first, second, where = split_views(embeddings, labels)
            if "reference_where" in spec.takes:
                keywords["reference_where"] = where
            return loss(first, second, where=where, **keywords)
        if spec.proxies is None:
            return loss(embeddings, labels, **keywords)
        return loss(embeddings, labels, proxies, **keywords)

    return objective
