"""Images from a folder with one sub-folder per class, or from a table."""

import csv
import os
from pathlib import Path

import numpy as np

from jml.errors import UserError

from ._groups import assign_groups
from ._image_file import readable_extensions
from ._listing import File, bad_line, file_below, make_listing
from ._types import Listing

LAYOUT = "pass a folder with one sub-folder of images per class."


def folder(root: str | os.PathLike) -> Listing:
    """Lists ``root/<class>/<image>``, or splits of that layout.

    With ``root/train`` and ``root/test``, or ``root/train``, ``root/query`` and
    ``root/gallery``, these are the splits. Otherwise the classes are the sub-folders in
    the order of their names; the first half is for training and the second for testing
    (of five classes, three are for training).

    Images are the files with an extension that Pillow reads. Other files are passed
    over, and so is what has a name that begins with a dot. Links are followed.

    Args:
        root: the folder.

    Returns:
        The listing.

    Raises:
        UserError: no such folder, too few classes, or a class with fewer than two
            images; names it.
    """
    root = Path(root)
    found = {path.name: path for path in _folders(root)}
    splits = [s for s in ("train", "test", "query", "gallery") if s in found]
    if splits in (["train", "test"], ["train", "query", "gallery"]):
        if set(found) == set(splits):
            return _split_folder(root, splits)
    classes = list(found.values())
    if len(classes) < 4:
        count = ("no class", "a single class", "two classes", "three classes")
        raise UserError(
            f"--dataroot: {str(root)!r} has {count[len(classes)]}, and it takes four,"
            f" two to train and two to test; {LAYOUT}"
        )
    files = [_images(path) for path in classes]
    labels = np.repeat(np.arange(len(files)), [len(f) for f in files])
    train = labels < (len(files) + 1) // 2
    return make_listing(
        root.resolve().name,
        [File(str(path)) for found in files for path in found],
        labels,
        train=train,
        query=~train,
        class_name=lambda label: classes[label].name,
    )


def _split_folder(root: Path, splits: list[str]) -> Listing:
    pictures, classes, roles = [], [], []
    for split in splits:
        for path in _folders(root / split):
            fewest = 1 if split in ("query", "gallery") else 2
            files = _images(path, fewest)
            pictures += [File(str(file)) for file in files]
            classes += [path.name] * len(files)
            roles += ["query" if split == "test" else split] * len(files)
    role = np.array(roles)
    return make_listing(
        root.resolve().name,
        pictures,
        classes,
        train=role == "train",
        query=role == "query",
        gallery=role == "gallery" if "gallery" in splits else None,
    )


def table(path: str | os.PathLike) -> Listing:
    """Lists the images of a CSV file with the columns path, label and split.

    Paths count from the folder of the table and stay below it. The splits are train and
    test, or train, query and gallery. A fourth column, group, may name the camera or
    the sequence of an image: a query's ranking leaves out the images of its class and
    group, as Market-1501's protocol does. An empty cell is no group.

    Args:
        path: the table, UTF-8, its first line the names of the columns.

    Returns:
        The listing.

    Raises:
        UserError: the table cannot be read, a line does not fit, or a training class
            has a single image; names file and line.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"--dataroot: {str(path)!r} is a folder; pass the CSV file.")
    pictures, classes, roles, groups = [], [], [], []
    for number, row in _rows(path):
        if row["split"] not in ("train", "test", "query", "gallery"):
            problem = f"split {row['split']!r} is not train, test, query or gallery"
            raise bad_line(path, number, problem)
        if not row["path"] or not row["label"]:
            raise bad_line(path, number, "path or label is empty")
        pictures.append(file_below(path.parent, row["path"], path, number))
        classes.append(row["label"])
        roles.append(row["split"])
        groups.append(row.get("group", ""))
    role = np.array(roles, dtype=str)
    if "test" in roles and not {"query", "gallery"}.isdisjoint(roles):
        raise UserError(
            f"--dataroot: {str(path)!r} has the splits test and query or gallery; use"
            " test, or both of the others."
        )
    listing = make_listing(
        path.stem,
        pictures,
        classes,
        train=role == "train",
        query=(role == "query") | (role == "test"),
        gallery=None if "test" in roles else role == "gallery",
    )
    trained = listing.labels[listing.train]
    for label, count in zip(*np.unique(trained, return_counts=True), strict=True):
        if count == 1:
            raise UserError(
                f"--dataroot: {str(path)!r}: class {listing.class_names[label]!r} has"
                " only one training image; give it two or more, or remove the line."
            )
    return assign_groups(listing, groups)


def _rows(path: Path):
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            missing = {"path", "label", "split"} - set(reader.fieldnames or ())
            if missing:
                problem = f"there is no column {' or '.join(sorted(missing))}"
                raise bad_line(path, 1, problem)
            for row in reader:
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"--dataroot: cannot read {str(path)!r}: {reason}; pass a CSV file with the"
            " columns path, label and split."
        ) from None


def _folders(root: Path) -> list[Path]:
    return [Path(entry.path) for entry in _entries(root) if _is_folder(entry)]


def _images(path: Path, fewest: int = 2) -> list[Path]:
    known = readable_extensions()
    found = [
        Path(entry.path)
        for entry in _entries(path)
        if not _is_folder(entry) and Path(entry.name).suffix.lower() in known
    ]
    if len(found) < fewest:
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
