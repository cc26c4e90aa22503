"""What the command reads: arrays and names from files that may hold anything."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jml.errors import UserError

ARGUMENTS = ("embeddings", "labels", "gallery", "gallery_labels")


def load_array(path: str, *, mapped: bool = False) -> np.ndarray:
    """A .npy file's array, in memory or mapped; no pickles, no archives."""
    try:
        with open(path, "rb") as file:
            if mapped:
                return np.lib.format.open_memmap(path, mode="r")
            return np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise UserError(
            f"cannot read {path!r}: {error.strerror or error}; pass a .npy file."
        ) from None
    except Exception:  # of a file that holds anything the reader raises anything
        raise UserError(
            f"{path!r} is no .npy file of numbers; write it with numpy.save."
        ) from None


def paths_of(options: Namespace, name: str, parts: int) -> list[str | None]:
    """An option's files for the queries and, where there are two parts, the gallery."""
    option, other = f"--{name}", f"--gallery_{name}"
    paths = [getattr(options, name), getattr(options, f"gallery_{name}")]
    given = [path is not None for path in paths]
    if given not in ([False, False], [True, parts == 2]):
        raise UserError(
            f"{other}: goes with {option} and a gallery, and they with it; pass both or"
            " none."
        )
    return paths[:parts]


def load_images(path: str | None, labels: np.ndarray) -> np.ndarray | None:
    if path is None:
        return None
    images = load_array(path, mapped=True)
    square = images.ndim == 4 and images.shape[1] == images.shape[2]
    if not square or images.shape[3] != 3 or images.dtype != np.uint8:
        raise UserError(
            f"{path!r}: images must be uint8 [n, side, side, 3], got {images.dtype}"
            f" {images.shape}."
        )
    if len(images) != labels.size:
        raise UserError(
            f"{path!r} holds {len(images)} images for {labels.size} labels."
        )
    return images


def load_groups(option: str, path: str | None, labels: np.ndarray) -> np.ndarray | None:
    if path is None:
        return None
    groups = load_array(path)
    if groups.shape != (labels.size,) or not np.issubdtype(groups.dtype, np.integer):
        raise UserError(
            f"{option}: {path!r} must be integer [{labels.size}], one for each label,"
            f" got {groups.dtype} {groups.shape}; -1 is no group."
        )
    return groups


def load_class_names(path: str | None) -> dict[int, str]:
    if path is None:
        return {}
    try:
        return dict(enumerate(Path(path).read_text("utf-8-sig").split("\n")))
    except (OSError, ValueError) as error:
        raise UserError(
            f"--class_names: cannot read {path!r}: {error}; pass a text file."
        ) from None


def about_files(message: str, paths: Sequence[str]) -> str:
    """Says the files' names where ``evaluate`` says its arguments'."""
    message = message.removeprefix("evaluate: ")
    for argument, path in zip(ARGUMENTS, paths, strict=False):
        message = message.replace(f"`{argument}`", repr(path))
    numbers = ("ks", "map_ks", "clusterings", "resamples", "seed")
    for option in (*numbers, "groups", "gallery_groups"):
        message = message.replace(f"`{option}`", f"--{option}")
    return message + "."
