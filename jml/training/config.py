"""What a run is: one frozen ``Config``, its defaults, and the checks on its values.

Only the standard library is imported here (see the package docstring).
"""

from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, get_type_hints

from jml.errors import UserError

from ._values import check_value
from .defaults import (
    ARCHITECTURES,
    BY_DATASET,
    BY_LOSS,
    BY_WEIGHTS,
    DATASETS,
    NEEDS,
    canonical_dataset,
    kind_of,
)


def _is_plain(name: str) -> bool:
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\\0")


def _flag(group: str, default: Any, text: str, **rules: Any) -> Any:
    return field(default=default, metadata={"group": group, "help": text, **rules})


_data, _model = partial(_flag, "data"), partial(_flag, "model")
_loss, _train, _run = (
    partial(_flag, "loss"),
    partial(_flag, "training"),
    partial(_flag, "run"),
)
_count = {"minimum": 1}


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a training run depends on; one field per flag of the command.

    A field left at None is filled from ``BY_DATASET``, ``BY_WEIGHTS`` and ``BY_LOSS``,
    so a ``Config`` that exists is complete: only ``dataroot``, ``name``, ``cuda`` and
    what the loss does not have may still be None.

    Raises:
        UserError: a value is out of range or contradicts another; names the flag.

    >>> Config(loss="triplet").mining
    'semi'
    """

    dataset: str = _data(
        None,
        f"what to train on: {', '.join(DATASETS)}; folder if --dataroot is given, else"
        " glyphs",
    )
    dataroot: str | None = _data(
        None, "where the data set is: its folder, its table (csv), TFDS's data_dir"
    )
    download: bool = _data(False, "prepare a data set of TFDS that is not there")
    image_size: int = _data(None, "side of the square the network sees", minimum=16)
    batch_size: int = _data(None, "images per training step", **_count)
    sampler: str = _data(
        "pk",
        "what a training batch is: P classes with K images each, or random numbers of"
        " each class's images as in the original",
        choices=("pk", "cub", "in-shop"),
    )
    images_per_class: int = _data(
        None, "K, images of each class in a training batch of --sampler pk", minimum=2
    )
    augment: str = _data(
        "crop",
        "crop: a random crop, mirrored or not; strong: of random size and shape, with"
        " other colours",
        choices=("crop", "strong"),
    )
    cache: str | None = _data(
        None,
        "where decoded images stay; default: by their size",
        choices=("device", "host", "disk", "none"),
    )
    cache_folder: str | None = _data(
        None, "for --cache disk; default: jml in the user's cache"
    )
    on_bad_image: str = _data(
        "error", "what to do about unreadable images", choices=("error", "skip")
    )
    batch_size_test: int = _data(256, "images per evaluation step", **_count)
    nworkers: int = _data(4, "threads that decode images", **_count)

    arch: str = _model(None, "network", choices=ARCHITECTURES)
    weights: str = _model(
        None, "initial weights: none, imagenet, or a .pth or .safetensors file"
    )
    embedding_dim: int = _model(128, "size of an embedding", **_count)
    l2norm: bool = _model(None, "scale embeddings to length one")
    freeze_bn: bool = _model(False, "leave the BatchNorm layers as they start")

    loss: str = _loss("contrastive", "loss function", choices=tuple(BY_LOSS))
    mining: str | None = _loss(
        None, "triplets to use", choices=("hardest", "semi", "all")
    )
    margin: float | None = _loss(None, "margin of the loss", above=0)
    scale: float | None = _loss(
        None, "factor on the distances of proxy_nca; 1 in the original", above=0
    )
    convention: str = _loss(
        "original",
        "how pairs are counted: as the original code or as the paper",
        choices=("original", "paper"),
    )
    proxies: str | None = _loss(
        None,
        "train the proxies of proxy_nca, or leave them as initialised",
        choices=("trained", "fixed"),
    )

    lr: float = _train(None, "learning rate of Adam", above=0)
    proxies_lr: float | None = _train(None, "the same for the proxies", above=0)
    precision: str = _train(
        "float32",
        "of the convolutions in training; parameters and losses are float32",
        choices=("float32", "bfloat16"),
    )
    microbatch: int | None = _train(
        None,
        "images whose activations are in memory at once; the gradient stays that of"
        " --batch_size",
        **_count,
    )
    maxiter: int = _train(None, "number of training steps", **_count)
    decay_iter_step: int = _train(None, "steps between decays of --lr", **_count)
    decay_gamma: float = _train(0.1, "factor of one decay", above=0, maximum=1)
    eval_interval: int = _train(None, "steps between evaluations", **_count)
    seed: int = _train(0, "seed of all randomness", minimum=0, maximum=2**31 - 1)

    checkpoints_path: str = _run("runs", "folder that holds the run folders")
    name: str | None = _run(
        None, "name of the run folder; default: a new one made of loss and time"
    )
    overwrite: bool = _run(False, "replace an earlier run of the same --name")
    cuda: bool | None = _run(None, "true: a GPU or fail; false: CPU; default: if any")

    def __post_init__(self) -> None:
        """Checks what was given, fills in the rest, checks how it fits together."""
        kinds = get_type_hints(Config)
        for item in fields(self):
            value = getattr(self, item.name)
            check_value(item.name, value, kinds[item.name], item.metadata)
        self._fill(dataset="folder" if self.dataroot is not None else "glyphs")
        object.__setattr__(self, "dataset", canonical_dataset(self.dataset))
        self._fill(**BY_DATASET[kind_of(self.dataset)], **BY_LOSS[self.loss])
        self._fill(**BY_WEIGHTS["none" if self.weights == "none" else "imagenet|PATH"])
        optional = self.dataset == "glyphs" or self.dataset.startswith("tfds:")
        if self.dataroot is None and not optional:
            raise UserError(
                f"--dataroot: missing; --dataset {self.dataset} needs"
                f" {NEEDS.get(self.dataset, 'the folder it was unpacked to')}."
            )
        if self.name is not None and not _is_plain(self.name):
            raise UserError(
                f"--name: {self.name!r} is not the name of a folder; pass a word here,"
                " and the way to it as --checkpoints_path."
            )
        if self.microbatch is not None and self.batch_size % self.microbatch:
            raise UserError(
                f"--microbatch: {self.microbatch} does not divide --batch_size"
                f" {self.batch_size}; change one of them."
            )
        if self.sampler != "pk":
            return
        if self.batch_size % self.images_per_class:
            raise UserError(
                f"--batch_size: {self.batch_size} is not a multiple of"
                f" --images_per_class {self.images_per_class}; change one of them."
            )
        if self.batch_size < 2 * self.images_per_class:
            raise UserError(
                f"--batch_size: {self.batch_size} holds a single class of"
                f" --images_per_class {self.images_per_class}; a batch needs two."
            )

    def _fill(self, **defaults: Any) -> None:
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)  # the dataclass is frozen

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each flag that was given but has no effect in this run."""
        notes = [
            f"--{name} has no effect with --loss {self.loss}"
            for name, default in BY_LOSS[self.loss].items()
            if default is None and getattr(self, name) is not None
        ]
        if self.dataset == "glyphs" and self.dataroot is not None:
            notes.append("--dataroot has no effect with --dataset glyphs")
        if self.download and not self.dataset.startswith("tfds:"):
            notes.append(f"--download has no effect with --dataset {self.dataset}")
        return tuple(notes)
