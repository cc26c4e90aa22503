"""How the fields of a ``Config`` fit together, and two configurations of one run."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from jml.errors import UserError

from ._defaults import BY_LOSS, NEEDS
from ._settings import Settings

SHRINKS_BY = 32  # a ResNet, from the image's side to that of its last layers


def check_together(config: Settings) -> None:
    """Checks what no field can be checked for alone.

    Raises:
        UserError: two values contradict each other; names the flags.
    """
    optional = config.dataset == "glyphs" or config.dataset.startswith("tfds:")
    if config.dataroot is None and not optional:
        raise UserError(
            f"--dataroot: missing; --dataset {config.dataset} needs"
            f" {NEEDS.get(config.dataset, 'the folder it was unpacked to')}."
        )
    if config.name is not None and not _is_plain(config.name):
        raise UserError(
            f"--name: {config.name!r} is not the name of a folder; pass a word here,"
            " and the way to it as --checkpoints_path."
        )
    _check_places(config)
    if config.resume and config.overwrite:
        raise UserError(
            "--resume: goes on with an earlier run, which --overwrite would replace;"
            " pass one of them."
        )
    _check_batch(config)
    _check_piece(config)
    _check_processes(config)


def _check_places(config: Settings) -> None:
    if config.dataset == "folder":
        runs, root = Path(config.checkpoints_path), Path(config.dataroot).absolute()
        if runs.absolute().is_relative_to(root):
            raise UserError(
                f"--checkpoints_path: {str(runs)!r} is inside --dataroot"
                f" {config.dataroot!r}, whose folders are classes; choose another."
            )


def _is_plain(name: str) -> bool:
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\\0")


def _check_batch(config: Settings) -> None:
    size = config.batch_size
    if config.microbatch is not None and size % config.microbatch:
        raise UserError(
            f"--microbatch: {config.microbatch} does not divide --batch_size"
            f" {size}; change one of them."
        )
    if config.sampler != "pk":
        if config.singletons == "views":
            raise UserError(
                f"--singletons: views fills the K places of a class, which --sampler"
                f" {config.sampler} does not have; pass --sampler pk or skip."
            )
        return
    if size % config.images_per_class:
        raise UserError(
            f"--batch_size: {size} is not a multiple of"
            f" --images_per_class {config.images_per_class}; change one of them."
        )
    if size < 2 * config.images_per_class:
        raise UserError(
            f"--batch_size: {size} holds a single class of"
            f" --images_per_class {config.images_per_class}; a batch needs two."
        )


def _check_piece(config: Settings) -> None:
    """A single image is too little for BatchNorm where it has shrunk to 1 x 1."""
    name = "batch_size" if config.microbatch is None else "microbatch"
    alone = getattr(config, name) == 1 and config.image_size <= SHRINKS_BY
    if alone and not config.freeze_bn:
        raise UserError(
            f"--{name}: 1 image of --image_size {config.image_size} is 1 x 1 in the"
            " last layers, where BatchNorm has nothing to average; pass 2 or more, an"
            f" --image_size above {SHRINKS_BY}, or --freeze_bn."
        )


def _check_processes(config: Settings) -> None:
    given = {"processes": config.processes, "process": config.process}
    if config.coordinator in (None, "auto"):
        for name, value in given.items():
            if value is not None:
                raise UserError(
                    f"--{name}: {value} says nothing without --coordinator HOST:PORT."
                )
        return
    host, _, port = config.coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(
            f"--coordinator: {config.coordinator!r} is not HOST:PORT; pass the address"
            " of process 0 and a free port there, or auto."
        )
    for name, value in given.items():
        if value is None:
            raise UserError(f"--{name}: missing; --coordinator HOST:PORT needs it.")
    if config.process >= config.processes:
        raise UserError(
            f"--process: {config.process} is none of --processes {config.processes};"
            " they are counted from 0."
        )


def notes(config: Settings) -> tuple[str, ...]:
    """One line for each flag that was given but has no effect in this run."""
    lines = [
        f"--{name} has no effect with --loss {config.loss}"
        for name, default in BY_LOSS[config.loss].items()
        if default is None and getattr(config, name) is not None
    ]
    if config.dataset == "glyphs" and config.dataroot is not None:
        lines.append("--dataroot has no effect with --dataset glyphs")
    if config.nested and config.dataset != "folder":
        lines.append(f"--nested has no effect with --dataset {config.dataset}")
    if config.download and not config.dataset.startswith("tfds:"):
        lines.append(f"--download has no effect with --dataset {config.dataset}")
    return tuple(lines)


def differences(config: Settings, saved: Mapping[str, Any]) -> list[str]:
    """What keeps a run from going on as `config`: the fields that decide its weights.

    ``maxiter`` is one of them only where the learning rate depends on it.
    """
    found = []
    for item in fields(config):
        here = getattr(config, item.name)
        there = saved.get(item.name, item.default)
        free = item.metadata["group"] == "run" or "free" in item.metadata
        if item.name == "maxiter":
            free = config.schedule != "cosine"
        if not free and here != there:
            found.append(f"--{item.name} was {there}, is {here}")
    return found


def check_same_run(path: Path, config: Settings, saved: Mapping[str, Any]) -> None:
    """Raises a UserError where `saved` is not a configuration this run can go on from.

    Args:
        path: of what was saved.
        config: of this run.
        saved: the fields of the configuration that was saved.
    """
    if found := differences(config, saved):
        raise UserError(
            f"--resume: {str(path)!r} is of another configuration: {'; '.join(found)};"
            " pass what it had, or choose another --name."
        )
