"""Files of weights with torchvision's names: reading, writing, downloading.

Only ``.pth`` files need PyTorch. It is imported when one is read.
"""

import os
import pickle  # for its error class; nothing is unpickled here
import sys
import warnings
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jml._names import quoted
from jml._optional import install, need
from jml._value_checks import check_path
from jml._whole_files import replace
from jml.errors import UserError

from ._state_dict import Tree, from_state_dict, to_state_dict

IMAGENET = {  # torchvision's IMAGENET1K_V1
    "resnet18": "https://download.pytorch.org/models/resnet18-f37072fd.pth",
    "resnet34": "https://download.pytorch.org/models/resnet34-b627a593.pth",
    "resnet50": "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    "resnet101": "https://download.pytorch.org/models/resnet101-63fe2227.pth",
    "resnet152": "https://download.pytorch.org/models/resnet152-394f9c45.pth",
}


def save_weights(
    path: str | os.PathLike[str],
    params: Tree,
    batch_stats: Tree,
    *,
    others: dict[str, np.ndarray] | None = None,
) -> None:
    """Writes a model as a ``.safetensors`` file with torchvision's names.

    The file appears complete or not at all.

    Args:
        path: of the file.
        params: parameters of the model.
        batch_stats: its running statistics.
        others: more arrays for the file, by name.

    Raises:
        UserError: safetensors is not installed.
        OSError: the file cannot be written.
    """
    path = check_path("save_weights", "path", path)
    need(f"writing {quoted(path)}", "safetensors")
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        tensors = {**to_state_dict(params, batch_stats), **(others or {})}
        replace(path, partial(save_file, tensors))
    except SafetensorError as error:  # safetensors hides an OSError in it
        raise OSError(str(error)) from None


def load_weights(
    weights: str | os.PathLike[str], arch: str, params: Tree, batch_stats: Tree
) -> tuple[Tree, Tree]:
    """Fills a model's trees from a file, or from torchvision's ImageNet weights.

    Args:
        weights: ``.pth`` or ``.safetensors`` file, less class weights; or "imagenet".
        arch: the network, for "imagenet" and for messages.
        params: as in ``from_state_dict``, whose rule about heads holds here, too.
        batch_stats: as in ``from_state_dict``.

    Raises:
        UserError: the file cannot be downloaded or read, or does not fit; says why and
            what to do.
    """
    check_path("load_weights", "weights", weights)
    path = _imagenet_file(arch) if weights == "imagenet" else Path(weights)
    state = _read(path)
    state.pop("class_weights", None)  # `jml export --with_weights` adds them
    try:
        return from_state_dict(state, params, batch_stats)
    except UserError as error:
        raise UserError(
            f"`weights`: {quoted(path)} does not fit {arch} with this `embedding_dim`;"
            f' {error}; pass a file of the same network or `weights="none"`.'
        ) from None


def _read(path: Path) -> dict[str, np.ndarray]:
    readers = {".pth": _read_pth, ".pt": _read_pth, ".safetensors": _read_safetensors}
    if _is_program(path):
        raise UserError(
            f"`weights`: {quoted(path)} is TorchScript or another exported program,"
            " which is not run here; where its model is defined, save the tensors"
            " alone, torch.save(model.state_dict(), 'weights.pth'), and pass that file."
        )
    if path.suffix not in readers:
        raise UserError(
            f"`weights`: {quoted(path)} is neither 'none', 'imagenet', nor a .pth or"
            " .safetensors file; pass one of these."
        )
    if not path.is_file():
        raise UserError(
            f"`weights`: no such file: {quoted(path)}; pass an existing .pth or"
            ' .safetensors file, or `weights="none"`.'
        )
    try:
        return readers[path.suffix](path)
    except UserError:
        raise
    except Exception as error:  # readers raise many kinds about a broken file
        raise UserError(
            f"`weights`: cannot read {quoted(path)}: {_reason(error)}; the file may be"
            " damaged: fetch it again or pass another."
        ) from None


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    need(f"`weights`: reading {quoted(path)}", "safetensors")
    from safetensors.numpy import load_file

    return load_file(path)


def _read_pth(path: Path) -> dict[str, np.ndarray]:
    torch = _torch(path)
    try:
        with warnings.catch_warnings(action="ignore"):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # its text advises to switch safety off
        raise UserError(
            f"`weights`: {quoted(path)} is damaged or holds more than tensors, which is"
            " not safe to load; pass a file that torch.save made of a state dict."
        ) from None
    if not isinstance(state, dict) or not all(map(torch.is_tensor, state.values())):
        raise UserError(
            f"`weights`: {quoted(path)} holds no plain state dict (names to tensors);"
            " save model.state_dict() and pass that file."
        )
    # NumPy has no bfloat16.
    return {
        name: (x.float() if x.dtype == torch.bfloat16 else x).detach().numpy()
        for name, x in state.items()
    }


def _is_program(path: Path) -> bool:
    """Whether an archive holds code, which PyTorch would run by `torch.jit.load`."""
    try:
        with zipfile.ZipFile(path) as archive:
            inside = {name.partition("/")[2] for name in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile):  # no file, or no archive
        return False
    programs = {"constants.pkl", "model.json", "archive_format"}
    return bool(programs & inside) or any(name.startswith("code/") for name in inside)


def _torch(source: object) -> Any:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"`weights`: reading {quoted(source)} needs PyTorch; run:"
            f' {install("torch")}, or pass a .safetensors file or `weights="none"`.'
        ) from None
    return torch


def _imagenet_file(arch: str) -> Path:
    """Downloads into PyTorch's own cache, which torchvision uses, too."""
    if arch not in IMAGENET:
        raise UserError(
            f"`weights`: there are no ImageNet weights of {arch!r}; pass a file, or"
            ' `weights="none"`.'
        )
    hub, url = _torch("imagenet").hub, IMAGENET[arch]
    path = Path(hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if path.exists():
        return path
    # The name of the file ends with the first digits of its SHA-256.
    digits = path.stem.rpartition("-")[2]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        hub.download_url_to_file(url, str(path), digits, progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as error:  # no network; disk; wrong hash
        raise UserError(
            f'`weights="imagenet"`: cannot download {url}: {_reason(error)}; pass a'
            ' file as `weights`, or `weights="none"`.'
        ) from None
    return path
