"""The images in any folder, whether or not its folders are classes."""

import os
from pathlib import Path
from typing import NamedTuple

from jml._names import name_bytes, quoted
from jml._value_checks import check_path
from jml.data._messages import name_some
from jml.errors import UserError

from ._folder_contents import Scan, scan_folder
from ._splits import canonical_split


class ImageFiles(NamedTuple):
    """Files of images, in the order of the bytes of their paths."""

    paths: list[str]  # each begins with the folder, as that was passed
    labels: list[str | None] | None  # None: no folder is a class
    notes: tuple[str, ...] = ()  # what the user should know, a line each


def image_files(root: str | os.PathLike) -> ImageFiles:
    """Finds the images in a folder and in all folders below it.

    Images are the files with an extension that Pillow reads; names that begin with a
    dot are skipped. Links are followed, and each folder is read once.

    The folder that directly holds an image is its class where that is
    ``root/<class>``, or ``root/<split>/<class>`` with a split of the name train, test,
    val, query or gallery, in any capitals. Other images have no label.

    Args:
        root: the folder.

    Returns:
        The paths, the labels and the notes.

    Raises:
        UserError: there is no such folder, or no image in it.
    """
    root = check_path("image_files", "root", root)
    if not root.is_dir():
        problem = "not a directory" if root.exists() else "no such directory"
        raise UserError(f"`root`: {problem}: {quoted(root)}; pass a folder of images.")
    scan = scan_folder(root, nested=True)
    if not scan.images:
        instead = scan.instead_of_images()
        raise UserError(
            f"`root`: {quoted(root)} has no image that Pillow reads"
            + f" ({instead})" * bool(instead)
            + "; pass a folder of images."
        )
    here = root == Path()  # scandir puts ./ before some names, and no folder there
    paths = [path.removeprefix("./") for path in scan.images] if here else scan.images
    paths = sorted(paths, key=name_bytes)
    start = 0 if here else len(os.path.join(root, ""))
    labels = [_class_of(path[start:]) for path in paths]
    known = any(label is not None for label in labels)
    return ImageFiles(paths, labels if known else None, _notes(scan))


def _class_of(path: str) -> str | None:
    """The class of an image, by its path from the root."""
    *folders, _ = path.split(os.sep)
    if folders and canonical_split(folders[0]):
        del folders[0]
    return folders[0] if len(folders) == 1 else None


def _notes(scan: Scan) -> tuple[str, ...]:
    left = []
    if scan.unread:
        kinds = [f"{total:,} {kind}" for kind, total in scan.unread.most_common()]
        left.append(f"files that Pillow does not read: {', '.join(kinds)}")
    if scan.links:
        left.append(f"links that lead nowhere: {name_some(scan.links)}")
    if scan.fault:
        left.append(scan.fault)
    return (f"left out: {'; '.join(left)}",) if left else ()
