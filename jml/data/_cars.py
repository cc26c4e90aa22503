"""Stanford Cars, from MATLAB files."""

import os
from pathlib import Path

import numpy as np

from jml.errors import UserError

from ._listing import file_below, find_root, make_listing
from ._types import Listing


def cars196(root: str | os.PathLike) -> Listing:
    """Stanford Cars: classes 1 to 98 for training, the others to test.

    Args:
        root: the folder with car_ims and cars_annos.mat; or with cars_train, cars_test
            and the devkit, in which cars_test_annos_withlabels.mat must be too.

    Returns:
        The listing; every test image is searched for among the others.

    Raises:
        UserError: a file is missing or not what it should be; names it.

    References:
        Krause et al.: 3D Object Representations for Fine-Grained Categorization, 2013
    """
    root = Path(root)
    if (root / "cars_annos.mat").exists():
        annotations = root / "cars_annos.mat"
        entries = _annotations(annotations, "relative_im_path", root)
        names = annotations
    else:
        trained = "cars_train_annos.mat"
        needs = "pass the folder with car_ims, or with cars_train and cars_test"
        devkit = find_root(root, trained, "devkit", needs=needs)
        tested = "cars_test_annos_withlabels.mat"
        labelled = find_root(root, tested, "devkit", needs="download that file too")
        entries = [
            *_annotations(devkit / trained, "fname", root / "cars_train"),
            *_annotations(labelled / tested, "fname", root / "cars_test"),
        ]
        names = devkit / "cars_meta.mat"
    class_names = [str(name) for name in _load_mat(names, "class_names")]
    pictures, classes = zip(*entries, strict=True)
    if not 1 <= min(classes) <= max(classes) <= len(class_names):
        raise UserError(
            f"--dataroot: {str(names)!r} names {len(class_names)} classes, and the"
            f" images have classes up to {max(classes)}; unpack the data set anew."
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


def _annotations(path: Path, field: str, root: Path) -> list:
    """Picture and class of every entry of an annotation file."""
    entries = _load_mat(path, "annotations")
    try:
        return [
            (file_below(root, str(e[field]), path, i + 1), int(e["class"]))
            for i, e in enumerate(entries)
        ]
    except (IndexError, ValueError, TypeError):
        raise UserError(
            f"--dataroot: {str(path)!r} has annotations without {field} and class;"
            " unpack the data set anew."
        ) from None


def _load_mat(path: Path, variable: str) -> np.ndarray:
    from scipy.io import loadmat

    try:
        return np.atleast_1d(loadmat(path, squeeze_me=True)[variable])
    except Exception as error:  # the parser raises many kinds, all about this file
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"--dataroot: cannot read {str(path)!r}: {reason}; unpack the data set"
            " anew."
        ) from None
