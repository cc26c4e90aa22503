"""Consistency of the fields of a ``Config``, and of two configurations of one run."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from jml._names import quoted
from jml.errors import UserError

from ._defaults import BY_LOSS, NEEDS
from ._earlier_names import by_present_names
from ._learned import check_learned, unused_rates
from ._settings import Settings
from ._shared_arguments import check_shared, unused_shared

SHRINKS_BY = 32  # a ResNet, from the image's side to that of its last layers


def check_consistency(config: Settings) -> None:
    """Checks the rules that are about several fields.

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
            f"--name: {quoted(config.name)} is not the name of a folder; pass a word"
            " here, and the folder that it is to lie in as --checkpoints_path."
        )
    _check_places(config)
    if config.resume and config.overwrite:
        raise UserError(
            "--resume: goes on with an earlier run, which --overwrite would replace;"
            " pass one of them."
        )
    check_learned(config)
    _check_lengths(config)
    check_shared(config)
    _check_batch(config)
    _check_single_images(config)
    _check_processes(config)
    _check_profile(config)


def _check_profile(config: Settings) -> None:
    if config.profile is None:
        return
    first, colon, last = config.profile.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal()):
        raise UserError(
            f"--profile: {quoted(config.profile)} is not A:B, two numbers of steps;"
            " pass 5:8, for example."
        )
    if not 1 <= int(first) <= int(last) <= config.maxiter:
        raise UserError(
            f"--profile: {config.profile} is not within the steps 1:{config.maxiter}"
            " of --maxiter; pass such steps, the first one first."
        )


def _check_lengths(config: Settings) -> None:
    low, high = config.min_length, config.max_length
    if low is not None and high is not None and low >= high:
        raise UserError(
            f"--min_length: {low} must be below --max_length {high}; change one of"
            " them."
        )


def _check_places(config: Settings) -> None:
    if config.dataset == "folder" and config.dataroot is not None:
        runs, root = Path(config.checkpoints_path), Path(config.dataroot).absolute()
        if runs.absolute().is_relative_to(root):
            raise UserError(
                f"--checkpoints_path: {quoted(runs)} is inside --dataroot"
                f" {quoted(config.dataroot)}, whose folders are classes; choose"
                " another."
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


def _check_single_images(config: Settings) -> None:
    """BatchNorm has one value to average where a single image has shrunk to 1 x 1."""
    name = "batch_size" if config.microbatch is None else "microbatch"
    single = getattr(config, name) == 1 and config.image_size <= SHRINKS_BY
    if single and not config.freeze_bn:
        raise UserError(
            f"--{name}: 1 image of --image_size {config.image_size} is 1 x 1 in the"
            " last layers, where BatchNorm has nothing to average; pass 2 or more, an"
            f" --image_size above {SHRINKS_BY}, or --freeze_bn."
        )


def _check_processes(config: Settings) -> None:
    counts = {"processes": config.processes, "process": config.process}
    if config.coordinator in (None, "auto"):
        for name, value in counts.items():
            if value is not None:
                raise UserError(
                    f"--{name}: {value} needs a --coordinator HOST:PORT; pass both."
                )
        return
    host, _, port = config.coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(
            f"--coordinator: {quoted(config.coordinator)} is not HOST:PORT; pass the"
            " address of process 0 and a free port there, or auto."
        )
    for name, value in counts.items():
        if value is None:
            raise UserError(f"--{name}: missing; --coordinator HOST:PORT needs it.")
    process, processes = config.process or 0, config.processes or 0
    if process >= processes:
        raise UserError(
            f"--process: {process} is none of --processes {processes}; they are counted"
            " from 0."
        )


def differences(config: Settings, saved: Mapping[str, Any]) -> list[str]:
    """The fields that decide the weights of a run, and differ from those `saved`.

    A run with differences cannot be resumed. ``maxiter`` is such a field only where
    the learning rate depends on it, and a flag that the loss does not have never is.
    A setting that the version of the earlier run lacked had its default.
    """
    lines, saved = [], by_present_names(saved)
    unused = {name for name, value in BY_LOSS[config.loss].items() if value is None}
    unused |= unused_shared(config) | unused_rates(config)
    for item in fields(config):
        value = getattr(config, item.name)
        default = BY_LOSS[config.loss].get(item.name, item.default)
        earlier = saved.get(item.name, default)
        free = item.metadata["group"] == "run" or "free" in item.metadata
        free |= item.name in unused
        if item.name == "maxiter":
            free = config.schedule != "cosine"
        if not free and value != earlier:
            lines.append(f"--{item.name} was {earlier}, is {value}")
    return lines


def check_same_run(path: Path, config: Settings, saved: Mapping[str, Any]) -> None:
    """Raises a UserError where a run of another configuration would be resumed.

    Args:
        path: the run folder or the checkpoint, for the message.
        config: the configuration of this run.
        saved: the fields of the configuration in `path`.
    """
    if lines := differences(config, saved):
        raise UserError(
            f"--resume: {quoted(path)} is of another configuration: {'; '.join(lines)};"
            " pass the earlier values, or choose another --name."
        )
