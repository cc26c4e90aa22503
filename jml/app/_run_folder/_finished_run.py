"""Reads what a run has left in its folder: configuration, metrics and weights."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jml._loss_specs import SPECS
from jml._names import quoted
from jml._optional import need
from jml._run_files import CONFIG, WEIGHTS
from jml.app._config import Config, by_present_names
from jml.errors import UserError, reason_of
from jml.models import Model, create

# Beside each file of weights, that of the loss's class weights; and their name in it.
CLASS_WEIGHTS = {
    WEIGHTS["last"]: "class_weights.safetensors",
    WEIGHTS["best"]: "best_class_weights.safetensors",
}
TENSOR = "class_weights"


def read_config(folder: Path) -> Config:
    """Returns the configuration of a run; raises a UserError if there is none."""
    path = folder / CONFIG
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        return Config(**by_present_names(saved))
    except OSError as error:
        raise UserError(
            f"cannot read {quoted(path)}: {error.strerror}; pass the folder of a run."
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(
            f"{quoted(path)} is not the configuration of a run of this version: {error}"
        ) from None


def read_moved_config(folder: Path, dataroot: str | None) -> Config:
    """Returns the configuration of a run whose data set may have moved.

    Args:
        folder: folder of the run.
        dataroot: where the data set is now; None if it is where it was.
    """
    config = read_config(folder)
    if dataroot is None:
        return config
    if config.dataset == "glyphs":
        raise UserError(
            f"--dataroot: {quoted(dataroot)} is not used, as the run is of drawn"
            " characters; leave it out."
        )
    return replace(config, dataroot=dataroot)


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Returns the lines of a run's metrics.jsonl; a damaged line is left out."""
    records = []
    try:
        text = (folder / "metrics.jsonl").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    for line in text.splitlines():
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            if isinstance(record, dict) and isinstance(record.get("step", 0), int):
                records.append(record)
    return records


def load_model(folder: Path, config: Config, *, which: str = "last") -> Model:
    """Returns the network of a run; raises a UserError if it is not there.

    Args:
        folder: folder of the run.
        config: configuration of the run.
        which: "last" or "best" weights.
    """
    weights = folder / WEIGHTS[which]
    if not weights.is_file():
        raise UserError(
            f"{quoted(folder)} has no {weights.name}: the run has not come to its"
            " first evaluation; pass the folder of another run."
        )
    return create(
        config.arch,
        embedding_dim=config.embedding_dim,
        l2norm=config.l2norm,
        weights=str(weights),
    )


def load_class_weights(
    folder: Path, config: Config, *, which: str = "last"
) -> dict[str, np.ndarray]:
    """Returns the class weights of a run, by the name of their tensor.

    Raises:
        UserError: the loss has none, or they are not there.
    """
    if SPECS[config.loss].proxies is None:
        raise UserError(
            f"--with_weights: --loss {config.loss} has no class weights; leave it out."
        )
    path = folder / CLASS_WEIGHTS[WEIGHTS[which]]
    # Going on writes the last weights anew; the best may lie behind.
    advice = "--resume writes it anew" if which == "last" else "leave out --best"
    if not path.is_file():
        raise UserError(
            f"--with_weights: {quoted(folder)} has no {path.name}: the run has not come"
            f" to its first evaluation, or is of an earlier version; {advice}."
        )
    need(f"reading {quoted(path)}", "safetensors")
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"--with_weights: cannot read {quoted(path)}: {reason_of(error)}; {advice}."
        ) from None
    if set(tensors) != {"class_weights"}:
        raise UserError(
            f"--with_weights: {quoted(path)} is not of class weights; {advice}."
        )
    return tensors
