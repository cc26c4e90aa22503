"""The fields of ``Config`` about the network and its loss.

Those of the losses' own hyperparameters and choices come from their table, and those of
miners from theirs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, make_dataclass
from typing import TYPE_CHECKING, Any

from jml._loss_specs import CONVENTION, SPECS, Choice, Hyperparameter
from jml._miner_specs import MINERS

from . import _flags as flags
from ._data_settings import DataSettings
from ._defaults import ARCHITECTURES


@dataclass(frozen=True, kw_only=True)
class ModelSettings(DataSettings):
    """Which network, and which loss trains it; see ``Config``."""

    arch: str = flags.model(None, "architecture of the network", choices=ARCHITECTURES)
    weights: str = flags.model(
        None,
        "initial weights: none, imagenet, or a .pth or .safetensors file",
        **flags.free,
    )
    embedding_dim: int = flags.model(
        128, "number of dimensions of an embedding", **flags.count
    )
    l2norm: bool = flags.model(None, "embeddings scaled to length one")
    freeze_bn: bool = flags.model(
        False, "BatchNorm layers left as they start: weights and statistics"
    )

    loss: str = flags.loss("contrastive", "loss function", choices=tuple(SPECS))


def _loss_fields() -> Iterator[tuple[str, Any, Any]]:
    """A field for each choice and each hyperparameter that a loss has.

    Not for the convention: its default is the same for all losses, those without it
    included, so ``Config`` declares it.
    """
    for name, choices in _choices_by_name().items():
        if isinstance(choices[0].default, bool):
            yield name, bool | None, flags.loss(None, choices[0].text)
        else:
            words = tuple(dict.fromkeys(w for c in choices for w in c.choices))
            field = flags.loss(None, choices[0].text, choices=words)
            yield name, str | None, field
    hyperparameters = {h.name: h for s in SPECS.values() for h in s.hyperparameters}
    for name, hyperparameter in hyperparameters.items():
        yield name, float | None, flags.loss(None, hyperparameter.text)


def _choices_by_name() -> dict[str, list[Choice]]:
    """The choices of all losses but the convention; two losses may differ in words."""
    by_name: dict[str, list[Choice]] = {}
    for spec in SPECS.values():
        for choice in spec.choices:
            if choice is not CONVENTION:
                by_name.setdefault(choice.name, []).append(choice)
    return by_name


def _miner_fields() -> Iterator[tuple[str, Any, Any]]:
    """The miner, and a field for each number and each choice that a miner has."""
    text = "choice of the pairs of a batch from which the loss learns; default: all"
    yield "miner", str | None, flags.loss(None, text, choices=tuple(MINERS))
    for name, spec in MINERS.items():
        for number in spec.numbers:
            text = f"--miner {name}: {number.text}"
            field = flags.loss(None, text, **number.bounds)
            yield f"miner_{number.name}", float | None, field
        for choice in spec.choices:
            text = f"--miner {name}: {choice.text}"
            field = flags.loss(None, text, choices=choice.choices)
            yield f"miner_{choice.name}", str | None, field


if TYPE_CHECKING:

    class LossSettings(ModelSettings):
        """A type checker cannot know the fields that the table of losses adds."""

        def __getattr__(self, name: str) -> Any: ...

else:
    LossSettings = make_dataclass(
        "LossSettings",
        (*_loss_fields(), *_miner_fields()),
        bases=(ModelSettings,),
        frozen=True,
        kw_only=True,
    )


def rules_of(loss: str, name: str) -> dict[str, Any]:
    """The bounds of a hyperparameter, or the words of a choice, that a loss has.

    Those of the first loss that has one of this name, where `loss` does not. Empty for
    any other field.
    """
    specs = [SPECS[loss], *SPECS.values()] if loss in SPECS else SPECS.values()
    options = (o for spec in specs for o in (*spec.hyperparameters, *spec.choices))
    option = next((option for option in options if option.name == name), None)
    if isinstance(option, Hyperparameter):
        return option.bounds
    return {} if option is None else {"choices": option.choices}
