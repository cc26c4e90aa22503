"""Which learning rate each parameter of a network has."""

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import PyTree

from jml._names import quoted
from jml._value_checks import check_type
from jml.errors import UserError
from jml.models import batch_norm_mask


def label_groups(
    params: Mapping[str, PyTree],
    *,
    freeze: tuple[str, ...] = (),
    freeze_bn: bool = False,
    freeze_proxies: bool = False,
) -> dict[str, PyTree]:
    """Returns the group of each parameter, for `make_optimizer` and `make_loss`.

    The last layer, "fc", is in the group "head_lr", parameters of the loss are in
    "proxies_lr", and all others in "lr", unless they are "frozen".

    Args:
        params: "model" has the parameters of a network of ``jml.models``; "proxies"
            and "loss", if they are there, those of the loss.
        freeze: layers of the network to keep as they are, such as "conv1" or
            "layer1.0".
        freeze_bn: keep the scales and shifts of BatchNorm.
        freeze_proxies: keep the proxies.

    Raises:
        UserError: the network has no such layer.
    """
    if not isinstance(params, Mapping) or not isinstance(params.get("model"), Mapping):
        raise ValueError(
            'label_groups: `params` must have the network\'s parameters as "model"'
        )
    words = "a tuple of names of layers"
    check_type("label_groups", "freeze", freeze, (tuple, list), words)
    for layer in freeze:
        check_type("label_groups", "freeze", layer, str, words)
        _check_layer(layer, {**params["model"]["backbone"], "fc": {}})
    frozen = tuple(f"{layer}." for layer in freeze)

    def group(path: tuple[Any, ...], batch_norm: bool) -> str:
        name = ".".join(str(entry.key) for entry in path).removeprefix("backbone.")
        if (freeze_bn and batch_norm) or name.startswith(frozen):
            return "frozen"
        return "head_lr" if name.startswith("fc.") else "lr"

    mask = batch_norm_mask(params["model"])
    groups: dict[str, PyTree] = {"model": jax.tree_util.tree_map_with_path(group, mask)}
    if "proxies" in params:
        groups["proxies"] = "frozen" if freeze_proxies else "proxies_lr"
    if "loss" in params:
        groups["loss"] = jax.tree.map(lambda _: "proxies_lr", params["loss"])
    return groups


def _check_layer(layer: str, layers: Mapping[Any, PyTree]) -> None:
    path: list[str] = []
    for name in layer.split("."):
        by_name = {str(key): tree for key, tree in layers.items()}
        if not isinstance(by_name.get(name), Mapping):
            known = [key for key, tree in by_name.items() if isinstance(tree, Mapping)]
            choices = ", ".join(".".join([*path, key]) for key in known)
            raise UserError(
                f"`freeze`: no layer {quoted(layer)}; choose from"
                f" {choices or '.'.join(path)}."
            )
        path.append(name)
        layers = by_name[name]
