"""What the command reads: arrays and names from files that may hold anything."""

from collections.abc import Sequence

import numpy as np

from jml._names import shown
from jml._text_files import read_lines
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
    if len(images) != len(labels):
        raise UserError(
            f"{path!r} holds {len(images)} images for {len(labels)} labels."
        )
    return images


def load_class_names(path: str | None) -> dict[int, str]:
    if path is None:
        return {}
    try:
        lines = enumerate(map(str.strip, read_lines(path)))
        return {number: shown(line) for number, line in lines if line}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"--class_names: cannot read {path!r}: {error}; pass a text file."
        ) from None


def about_files(message: str, paths: Sequence[str]) -> str:
    """Says the files' names where ``evaluate`` says its arguments'."""
    message = message.removeprefix("evaluate: ")
    for argument, path in zip(ARGUMENTS, paths, strict=False):
        message = message.replace(f"`{argument}`", repr(path))
    for option in ("ks", "map_ks", "clusterings", "resamples", "seed"):
        message = message.replace(f"`{option}`", f"--{option}")
    return message + "."
