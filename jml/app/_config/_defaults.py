"""The choices of flags, and the defaults that depend on other flags.

Only the standard library is imported here (see the package docstring).
"""

from typing import Any

from jml._loss_specs import SPECS
from jml._miner_specs import MINERS
from jml._names import quoted
from jml.app._values import suggest
from jml.errors import UserError

ARCHITECTURES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")

OPTIMIZERS = ("adam", "adamw", "lamb", "lion", "rmsprop", "sgd")
SCHEDULES = ("step", "cosine", "constant")

# The data sets, and other spellings that name them; "tfds:" is followed by a name.
DATASETS = (
    "glyphs",
    "folder",
    "csv",
    "CUB-200-2011",
    "Cars196",
    "SOP",
    "In-Shop",
    "tfds:NAME",
)
ALIASES = {"cub200": "CUB-200-2011", **{name.lower(): name for name in DATASETS}}
NEEDS = {
    "folder": "a folder with one sub-folder of images per class",
    "csv": "a table with the columns path, label and split",
}
PHOTOGRAPHS = "others"

# Defaults by data set ...
BY_DATASET: dict[str, dict[str, Any]] = {
    "glyphs": {
        "arch": "resnet18",
        "weights": "none",
        "image_size": 28,
        "batch_size": 96,
        "maxiter": 600,
        "decay_iter_step": 450,
        "eval_interval": 200,
        "memory_warmup": 450,
    },
    PHOTOGRAPHS: {
        "arch": "resnet50",
        "weights": "imagenet",
        "image_size": 224,
        "batch_size": 80,
        "maxiter": 10_000,
        "decay_iter_step": 4_000,
        "eval_interval": 500,
        "memory_warmup": 1_000,
    },
}
# ... by weights: a network that is trained already needs small steps ...
BY_WEIGHTS: dict[str, dict[str, Any]] = {
    "none": {"lr": 7e-4},
    "imagenet|PATH": {"lr": 1e-5},
}
# ... and by loss, from the table of losses; None where a loss has no such setting.
_BY_LOSS = {name: spec.command_defaults() for name, spec in SPECS.items()}
_ABSENT = {name: None for defaults in _BY_LOSS.values() for name in defaults}
BY_LOSS: dict[str, dict[str, Any]] = {
    name: {**_ABSENT, **defaults} for name, defaults in _BY_LOSS.items()
}

# ... and by miner, from the table of miners; None is a run without one.
_BY_MINER = {name: spec.command_defaults() for name, spec in MINERS.items()}
_NO_MINER = {name: None for defaults in _BY_MINER.values() for name in defaults}
BY_MINER: dict[str | None, dict[str, Any]] = {
    name: {**_NO_MINER, **defaults} for name, defaults in _BY_MINER.items()
}
BY_MINER[None] = _NO_MINER


def kind_of(dataset: str) -> str:
    """The key of ``BY_DATASET`` with the defaults of a data set."""
    return dataset if dataset in BY_DATASET else PHOTOGRAPHS


def canonical_dataset(dataset: str) -> str:
    """The name of a data set as its authors spell it.

    Raises:
        UserError: there is none of that name.

    >>> canonical_dataset("cub200")
    'CUB-200-2011'
    """
    prefix, colon, name = dataset.partition(":")
    if prefix.lower() == "tfds" and colon and name and name != "NAME":
        return f"tfds:{name}"
    known = ALIASES.get(dataset.lower())
    if known is None or colon:
        hint = suggest(dataset, DATASETS)
        choices = ", ".join(DATASETS)
        raise UserError(
            f"--dataset: unknown {quoted(dataset)}; {hint}choose from {choices}."
        )
    return known
