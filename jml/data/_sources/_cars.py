"""Stanford Cars, from MATLAB files."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jml.data._types import Listing, Picture
from jml.errors import UserError

from ._found import find_file, layout_error, locate, open_pictures
from ._listing import make_listing
from ._problems import Problems

KNOWN = (
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


class Entry(NamedTuple):
    """A line of an annotation file."""

    line: tuple[Path, int, str]
    label: int


def cars196(root: str | os.PathLike) -> Listing:
    """Stanford Cars: classes 1 to 98 for training, the others to test.

    Args:
        root: the folder with car_ims and cars_annos.mat; or with cars_train, cars_test
            and the devkit, in which cars_test_annos_withlabels.mat must be too; or one
            that holds these. Of two layouts the one whose pictures are there is read.

    Returns:
        The listing; every test image is searched for among the others.

    Raises:
        UserError: a file is missing or not what it should be; names it.

    References:
        Krause et al.: 3D Object Representations for Fine-Grained Categorization, 2013
    """
    pictures, classes, names = _one_folder(Path(root)) or _halves(Path(root))
    class_names = [str(name) for name in _load_mat(names, "class_names")]
    if classes and not 1 <= min(classes) <= max(classes) <= len(class_names):
        raise UserError(
            f"--dataroot: {str(names)!r} names {len(class_names)} classes, and the"
            f" images have classes from {min(classes)} to {max(classes)}; {ADVICE}."
        )
    train = np.asarray(classes) <= 98
    return make_listing(
        "Cars196",
        pictures,
        classes,
        train=train,
        query=~train,
        class_name=lambda number: class_names[number - 1],
        expected={"train": (98, 8054), "query": (98, 8131)},
    )


def _one_folder(root: Path) -> tuple[list[Picture], list[int], Path] | None:
    """The layout with one folder; None where the list or its pictures are missing."""
    path = find_file(root, ALL)
    if path is None:
        return None
    entries = _annotations(path, "relative_im_path")
    lines, classes = map(list, zip(*entries, strict=True))
    place = locate(root, lines, prefixed=True)
    if place[0] is None:
        return None
    pictures = open_pictures(root, lines, Problems(ADVICE), KNOWN, place=place)
    return pictures, classes, path


def _halves(root: Path) -> tuple[list[Picture], list[int], Path]:
    """The layout with a folder for each half."""
    wanted = [*HALVES.values(), NAMES]
    found = {name: find_file(root, name) for name in wanted}
    # The names of classes are in both kinds of files.
    found[NAMES] = found[NAMES] or find_file(root, ALL)
    missing = [name.replace("*", "") for name in wanted if found[name] is None]
    if missing:
        note = ""
        if find_file(root, ALL) is not None:
            note = f"image that {ALL} lists, nor "
        raise layout_error(root, note + " and ".join(missing), KNOWN)
    pictures, classes = [], []
    for folder, name in HALVES.items():
        entries = _annotations(found[name], "fname")
        lines, labels = map(list, zip(*entries, strict=True))
        pictures += open_pictures(root, lines, Problems(ADVICE), KNOWN, named=folder)
        classes += labels
    return pictures, classes, found[NAMES]


def _annotations(path: Path, field: str) -> list[Entry]:
    """The entries of an annotation file, of which there are some."""
    annotations = _load_mat(path, "annotations")
    try:
        entries = [
            Entry((path, i, str(e[field])), int(e["class"]))
            for i, e in enumerate(annotations, 1)
        ]
    except (IndexError, ValueError, TypeError):
        entries = []
    if not entries:
        raise UserError(
            f"--dataroot: {str(path)!r} has no annotations with {field} and class;"
            f" {ADVICE}."
        )
    return entries


def _load_mat(path: Path, variable: str) -> np.ndarray:
    from scipy.io import loadmat

    try:
        return np.atleast_1d(loadmat(path, squeeze_me=True)[variable])
    except Exception as error:  # the parser raises many kinds, all about this file
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"--dataroot: cannot read {str(path)!r}: {reason}; {ADVICE}."
        ) from None
