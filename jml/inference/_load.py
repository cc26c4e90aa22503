"""From a run's folder, or an exported file, to a network that embeds images."""

import os
from pathlib import Path

from jml._names import quoted
from jml._optional import need
from jml._run_files import CONFIG, WEIGHTS, digest_of
from jml._value_checks import check_path
from jml.errors import UserError
from jml.models import Model, create

from ._description import Description, Source, read_export, read_run
from ._exported import read_function
from ._trained_model import TrainedModel

PACKAGES = {
    ".safetensors": "safetensors",
    ".pth": "torch",
    ".pt": "torch",
    ".jax": "flatbuffers",
}


def load(path: str | os.PathLike, *, best: bool = False) -> TrainedModel:
    """Reads a trained network; ``jml.load`` is the same function.

    Args:
        path: the folder of a run; or a file that ``jml export`` wrote, with its
            description FILE.json beside it. A ``.pth`` needs PyTorch, and a ``.jax``
            flatbuffers.
        best: of a run, the weights of the highest Recall@1 in place of the last.

    Raises:
        UserError: there is no run and no export, or a file of it is missing or damaged.

    Example:
        >>> load("no/such/run")
        Traceback (most recent call last):
        ...
        jml.errors.UserError: `path`: no such folder or file: 'no/such/run'; pass ...
    """
    path = check_path("load", "path", path)
    if path.is_dir():
        return _of_run(path, "best" if best else "last")
    if not path.exists():
        raise UserError(
            f"`path`: no such folder or file: {quoted(path)}; pass the folder of a run,"
            " or a file that jml export wrote."
        )
    if best:
        raise UserError(
            f"`best`: {quoted(path)} is a single network; leave it out, or pass the"
            " folder of a run."
        )
    return _of_export(path)


def _of_run(folder: Path, which: str) -> TrainedModel:
    if not (folder / CONFIG).exists():
        raise UserError(
            f"`path`: {quoted(folder)} has no {CONFIG}; pass the folder of a run."
        )
    description, weights = read_run(folder), folder / WEIGHTS[which]
    if not weights.is_file():
        raise UserError(
            f"`path`: {quoted(folder)} has no {weights.name}: the run has not come to"
            " its first evaluation; pass the folder of another run."
        )
    digest = _digest_of(weights)
    network = _read_network(weights, description)
    source = Source(os.path.abspath(folder), digest, folder, which == "best")
    return TrainedModel(description, network, source)


def _of_export(path: Path) -> TrainedModel:
    if path.suffix not in PACKAGES:
        raise UserError(
            f"`path`: {quoted(path)} is neither the folder of a run nor a file with the"
            f" suffix {', '.join(PACKAGES)}; pass one of these."
        )
    description, digest = read_export(path, _digest_of(path))
    if path.suffix == ".jax":
        need(f"reading {quoted(path)}", PACKAGES[path.suffix])
        network = read_function(path, description)
    else:
        network = _read_network(path, description)
    source = Source(os.path.abspath(path), digest, path.parent, False)
    return TrainedModel(description, network, source)


def _read_network(weights: Path, description: Description) -> Model:
    need(f"reading {quoted(weights)}", PACKAGES[weights.suffix])
    try:
        return create(
            description.arch,
            embedding_dim=description.embedding_dim,
            l2norm=description.l2norm,
            weights=str(weights.absolute()),
        )
    except UserError as error:
        reason = str(error).removeprefix("`weights`: ").rpartition("; ")[0]
        raise UserError(
            f"`path`: {reason}; pass another run, or export this one anew."
        ) from None


def _digest_of(path: Path) -> str:
    try:
        return digest_of(path)
    except OSError as error:
        raise UserError(
            f"`path`: cannot read {quoted(path)}: {error.strerror}; pass another."
        ) from None
