"""Images from a folder with one sub-folder per class."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from jml.errors import UserError

from ._image_file import read_square, readable_extensions
from ._types import Dataset, Split

LAYOUT = "pass a folder with one sub-folder of images per class."


def folder(
    root: str | os.PathLike,
    *,
    image_size: int,
    workers: int = 4,
    progress: Callable[[Iterable, int], Iterable] = lambda images, count: images,
) -> Dataset:
    """Reads ``root/<class>/<image>``, each image decoded and resized once.

    The classes are the sub-folders in the order of their names; the first half is for
    training and the second for testing (of five classes, three are for training).
    Images are the files in them with an extension that Pillow reads. Other files are
    passed over, and so is what has a name that begins with a dot. Links are followed.

    An image is turned upright (EXIF), laid on white where it is transparent, converted
    to RGB, and resized to a square, whatever its shape, as torchvision's Resize does:
    bilinear with antialiasing.

    Args:
        root: the folder.
        image_size: side of the squares.
        workers: threads that decode.
        progress: wraps the iterable over the images, whose number it is given too; for
            a progress bar.

    Returns:
        The data set. Labels number the classes in their order.

    Raises:
        UserError: no such folder, fewer than four classes, a class with fewer than two
            images, or an image that cannot be read; names it.
    """
    root = Path(root)
    classes = _find_classes(root)
    files = [_find_images(path) for path in classes]
    paths = [path for found in files for path in found]
    images = np.empty((len(paths), image_size, image_size, 3), np.uint8)

    def load(row: int) -> None:
        images[row] = read_square(paths[row], image_size)

    with ThreadPoolExecutor(workers) as pool:
        for _ in progress(pool.map(load, range(len(paths))), len(paths)):
            pass
    labels = np.repeat(np.arange(len(files), dtype=np.int32), [len(f) for f in files])
    cut = int(np.searchsorted(labels, (len(files) + 1) // 2))
    train, test = Split(images[:cut], labels[:cut]), Split(images[cut:], labels[cut:])
    return Dataset(root.resolve().name, train, test, tuple(p.name for p in classes))


def _find_classes(root: Path) -> list[Path]:
    classes = [Path(entry.path) for entry in _entries(root) if _is_folder(entry)]
    if len(classes) < 4:
        count = ("no class", "a single class", "two classes", "three classes")
        raise UserError(
            f"--dataroot: {str(root)!r} has {count[len(classes)]}, and it takes four,"
            f" two to train and two to test; {LAYOUT}"
        )
    return classes


def _find_images(path: Path) -> list[Path]:
    known = readable_extensions()
    found = [
        Path(entry.path)
        for entry in _entries(path)
        if not _is_folder(entry) and Path(entry.name).suffix.lower() in known
    ]
    if len(found) < 2:
        count = "only one image" if found else "no image that Pillow reads"
        raise UserError(
            f"--dataroot: class {path.name!r} has {count} in {str(path)!r}; give it two"
            " or more, or remove the folder."
        )
    return found


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _entries(path: Path) -> list[os.DirEntry]:
    try:
        found = [entry for entry in os.scandir(path) if entry.name[0] != "."]
    except FileNotFoundError:
        reason = "no such directory"
    except NotADirectoryError:
        reason = "not a directory"
    except OSError as error:
        reason = f"cannot be listed ({error.strerror})"
    else:
        return sorted(found, key=lambda entry: entry.name)
    raise UserError(f"--dataroot: {reason}: {str(path)!r}; {LAYOUT}")
