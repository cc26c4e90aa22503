"""Stanford Cars, whose annotations are MATLAB files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jml._names import quoted
from jml._value_checks import check_path
from jml.data._types import ImageSource, Listing
from jml.errors import UserError

from ._listed_images import Line, locate, open_images
from ._listing import make_listing
from ._problems import Problems
from ._search import find_file, layout_error

LAYOUT = (
    "car_ims and cars_annos.mat; or with cars_train, cars_test, devkit and"
    " cars_test_annos_withlabels.mat"
)
ADVICE = "unpack the data set anew"
# The two layouts: one file for all, or one for each half and one for the names.
ALL = "cars_annos.mat"
HALVES = {
    "cars_train": "cars_train_annos.mat",
    "cars_test": "cars_test_annos_withlabels*.mat",
}
NAMES = "cars_meta.mat"


class Cars(NamedTuple):
    """What both layouts give."""

    images: Sequence[ImageSource]
    classes: list[int]
    names_file: Path  # names the classes


def cars196(root: str | os.PathLike) -> Listing:
    """Lists Stanford Cars: classes 1 to 98 to train on, the others to test.

    Args:
        root: the folder with car_ims and cars_annos.mat; or with cars_train, cars_test
            and the devkit, in which cars_test_annos_withlabels.mat must be too; or one
            that holds these. Where both layouts are there, the one that has its images
            is read.

    Returns:
        The listing; every test image is searched for among the others.

    Raises:
        UserError: a file is missing or not what it should be; names it.

    References:
        Krause et al.: 3D Object Representations for Fine-Grained Categorization, 2013
    """
    root = check_path("cars196", "root", root)
    images, classes, file = _one_folder(root) or _halves(root)
    names = [str(name) for name in _load_mat(file, "class_names")]
    if classes and not 1 <= min(classes) <= max(classes) <= len(names):
        raise UserError(
            f"`root`: {quoted(file)} names {len(names)} classes, and the images have"
            f" classes from {min(classes)} to {max(classes)}; {ADVICE}."
        )
    train = np.asarray(classes) <= 98
    return make_listing(
        "Cars196",
        images,
        classes,
        train=train,
        query=~train,
        class_name=lambda number: names[number - 1],
        expected={"train": (98, 8054), "query": (98, 8131)},
    )


def _one_folder(root: Path) -> Cars | None:
    """The layout with one folder; None where the list or its images are missing."""
    file = find_file(root, ALL)
    if file is None:
        return None
    lines, classes = _annotations(file, "relative_im_path")
    place = locate(root, lines, prefixed=True)
    if place.folder is None:
        return None
    images = open_images(root, lines, Problems(ADVICE), LAYOUT, place=place)
    return Cars(images, classes, file)


def _halves(root: Path) -> Cars:
    """The layout with a folder for each half."""
    files: dict[str, Path] = {}
    for name in (*HALVES.values(), NAMES):
        file = find_file(root, name)
        if file is None and name == NAMES:
            file = find_file(root, ALL)  # both files name the classes
        if file is not None:
            files[name] = file
    missing = [name for name in (*HALVES.values(), NAMES) if name not in files]
    if missing:
        note = ""
        if find_file(root, ALL) is not None:
            note = f"image that {ALL} lists, nor "
        names = " and ".join(missing).replace("*", "")
        raise layout_error(root, note + names, LAYOUT)
    images, classes = [], []
    for folder, name in HALVES.items():
        lines, labels = _annotations(files[name], "fname")
        images += open_images(root, lines, Problems(ADVICE), LAYOUT, named=folder)
        classes += labels
    return Cars(images, classes, files[NAMES])


def _annotations(file: Path, field: str) -> tuple[list[Line], list[int]]:
    """The images and the classes of an annotation file, one at least."""
    annotations = _load_mat(file, "annotations")
    try:
        lines = [Line(file, i, str(a[field])) for i, a in enumerate(annotations, 1)]
        classes = [int(a["class"]) for a in annotations]
    except (IndexError, ValueError, TypeError):
        lines, classes = [], []
    if not lines:
        raise UserError(
            f"`root`: {quoted(file)} has no annotations with {field} and class;"
            f" {ADVICE}."
        )
    return lines, classes


def _load_mat(file: Path, variable: str) -> np.ndarray:
    from scipy.io import loadmat

    try:
        return np.atleast_1d(loadmat(file, squeeze_me=True)[variable])
    except Exception as error:  # the parser raises many kinds, all about this file
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"`root`: cannot read {quoted(file)}: {reason}; {ADVICE}."
        ) from None
