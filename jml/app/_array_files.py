"""The files of ``jml evaluate``: arrays and names, checked, whatever a file holds."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from jml._names import quoted, shown
from jml._text_files import read_lines
from jml.app._flags_of_arguments import with_flags
from jml.errors import UserError

# The arguments of ``evaluate``: those that come from files, in the order of the
# command's, and those that are flags of the same name.
ARGUMENTS = ("embeddings", "labels", "gallery", "gallery_labels")
FLAGS = ("ks", "map_ks", "clusterings", "resamples", "seed", "groups", "gallery_groups")


class ArrayFiles(NamedTuple):
    """What was read: that of the queries and, if there is one, that of the gallery."""

    arrays: list[np.ndarray]  # as ``ARGUMENTS``: two, or four with a gallery
    images: list[np.ndarray | None]
    groups: list[np.ndarray | None]
    class_names: dict[int, str]


def read_files(options: Namespace) -> ArrayFiles:
    """Reads all files that the command was given.

    Raises:
        UserError: one cannot be read, or does not fit the labels.
    """
    arrays = [load_array(path) for path in options.what]
    return ArrayFiles(
        arrays,
        _load_for_labels(options, "images", load_images, arrays[1::2]),
        _load_for_labels(options, "groups", load_groups, arrays[1::2]),
        load_class_names(options.class_names),
    )


def load_array(path: str, *, mapped: bool = False) -> np.ndarray:
    """A .npy file's array, in memory or mapped; no pickles, no archives."""
    try:
        with open(path, "rb") as file:
            if mapped:
                return np.lib.format.open_memmap(path, mode="r")
            return np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise UserError(
            f"cannot read {quoted(path)}: {error.strerror or error}; pass a .npy file."
        ) from None
    except Exception:  # the reader may raise anything where a file holds anything
        raise UserError(
            f"{quoted(path)} is no .npy file of numbers; write it with numpy.save."
        ) from None


def _load_for_labels(
    options: Namespace,
    name: str,
    load: Callable[[str, np.ndarray], np.ndarray],
    labels: Sequence[np.ndarray],
) -> list[np.ndarray | None]:
    """An option's array for the queries and, if these have labels, for the gallery."""
    paths = [getattr(options, name), getattr(options, f"gallery_{name}")]
    return [
        None if path is None else load(path, labels_of_path)
        for path, labels_of_path in zip(paths, labels, strict=False)
    ]


def load_images(path: str, labels: np.ndarray) -> np.ndarray:
    images = load_array(path, mapped=True)
    square = images.ndim == 4 and images.shape[1] == images.shape[2]
    if not square or images.shape[3] != 3 or images.dtype != np.uint8:
        raise UserError(
            f"{quoted(path)}: images must be uint8 [n, side, side, 3], got"
            f" {images.dtype} {images.shape}."
        )
    if len(images) != labels.size:
        raise UserError(
            f"{quoted(path)} holds {len(images)} images for {labels.size} labels."
        )
    return images


def load_groups(path: str, labels: np.ndarray) -> np.ndarray:
    groups = load_array(path)
    if groups.shape != (labels.size,) or not np.issubdtype(groups.dtype, np.integer):
        raise UserError(
            f"{quoted(path)}: groups must be integer [{labels.size}], one for each"
            f" label, got {groups.dtype} {groups.shape}; -1 is no group."
        )
    return groups


def load_class_names(path: str | None) -> dict[int, str]:
    if path is None:
        return {}
    try:
        lines = enumerate(map(str.strip, read_lines(path)))
        return {number: shown(line) for number, line in lines if line}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"--class_names: cannot read {quoted(path)}: {error}; pass a text file."
        ) from None


def about_files(message: str, paths: Sequence[str]) -> str:
    """A message of ``evaluate``, with the files and flags in place of its arguments."""
    files = {
        argument: quoted(path) for argument, path in zip(ARGUMENTS, paths, strict=False)
    }
    flags = {name: f"--{name}" for name in FLAGS}
    return with_flags(message.removeprefix("evaluate: "), flags | files) + "."
