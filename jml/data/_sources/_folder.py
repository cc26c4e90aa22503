"""Images from a folder with one sub-folder per class, or from a table."""

import os
from collections import Counter
from pathlib import Path

import numpy as np

from jml.data._types import Listing
from jml.errors import UserError

from ._class_folders import left_out_note, scan
from ._groups import assign_groups
from ._inside import Inside
from ._layouts import check_classes, find_splits, list_folder, splits_notes
from ._listing import File, make_listing
from ._problems import Problem, Problems, counted, quote
from ._splits import canonical_split, roles_of
from ._table_rows import table_rows


def folder(root: str | os.PathLike, *, nested: bool = False) -> Listing:
    """Lists ``root/<class>/<image>``, or splits of that layout.

    With ``root/train`` and ``root/test``, or ``root/train``, ``root/query`` and
    ``root/gallery``, in any capitals, these are the splits. ``root/val`` is tested on
    where there is nothing else to test on, and left out where there is. Otherwise the
    classes are the sub-folders in the order of their names; the first half is for
    training and the second for testing (of five classes, three are for training).

    Images are the files with an extension that Pillow reads. Other files are passed
    over, and so is what has a name that begins with a dot. Links are followed. Notes
    say how many images are left out for their place or their format.

    Args:
        root: the folder.
        nested: read the images in all folders below that of a class, too.

    Returns:
        The listing.

    Raises:
        UserError: no such folder, too few classes, or classes without an image; names
            them.
    """
    root = Path(root)
    name = root.resolve().name
    top = list_folder(root)
    splits = find_splits(root, top)
    parts = {role: list_folder(path) for role, path in splits.items()} or {"": top}
    scans = {
        role: [scan(path, nested=nested) for path in part.folders]
        for role, part in parts.items()
    }
    check_classes(root, splits, parts, scans)
    if not splits:
        half = (len(scans[""]) + 1) // 2
        scans = {"train": scans[""][:half], "query": scans[""][half:]}
    rows = [
        (File(image), found.path.name, role)
        for role, some in scans.items()
        for found in some
        for image in found.images
    ]
    pictures, classes, roles = zip(*rows, strict=True)
    role = np.array(roles)
    listing = make_listing(
        name,
        pictures,
        classes,
        train=role == "train",
        query=role == "query",
        gallery=role == "gallery" if "gallery" in splits else None,
    )
    notes = splits_notes(name, top, splits) if splits else []
    everything = [found for some in scans.values() for found in some]
    places = [top, *parts.values()] if splits else [top]
    notes += left_out_note(name, places, everything)
    return listing._replace(notes=(*listing.notes, *notes))


def table(path: str | os.PathLike) -> Listing:
    """Lists the images of a CSV file with the columns path, label and split.

    Paths count from the folder of the table, or are absolute, and lead into it. The
    splits are train and test, or train, query and gallery, in any capitals. A split val
    is tested on where there is nothing else to test on, and left out where there is.

    A column group may name the camera or the sequence of an image: a query's ranking
    leaves out the images of its class and group, as Market-1501's protocol does. An
    empty cell, or -1, is no group.

    Args:
        path: the table, its first line the names of the columns, with the separator
            between them that all lines have: a comma, a semicolon, a tab. UTF-8, or
            what its mark of byte order says.

    Returns:
        The listing.

    Raises:
        UserError: the table cannot be read, or lines do not fit; names them.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"--dataroot: {str(path)!r} is a folder; pass the CSV file.")
    inside, problems = Inside(path.parent), Problems("mend that in the table")
    pictures, classes, splits, groups = [], [], [], []
    counts: Counter[str] = Counter()
    for number, row in table_rows(path, ("path", "label", "split")):
        with problems.at(path, number):
            split = canonical_split(row["split"])
            if split is None:
                known = "train, test, val, query or gallery"
                raise Problem(f"split {quote(row['split'])} is not {known}")
            counts[split] += 1
            if not row["path"] or not row["label"]:
                raise Problem("path or label is empty")
            pictures.append(inside.file(row["path"]))
            classes.append(row["label"])
            splits.append(split)
            groups.append(row.get("group", ""))
    try:
        roles = roles_of(counts)
    except Problem as problem:
        roles = {}
        held = f"the splits {', '.join(counts)}" if counts else "no line of an image"
        problems.add(f"{str(path)!r} has {held}: {problem}")
    problems.check()
    kept = [row for row, split in enumerate(splits) if split in roles]
    role = np.array([roles[splits[row]] for row in kept])
    listing = make_listing(
        path.stem,
        [pictures[row] for row in kept],
        [classes[row] for row in kept],
        train=role == "train",
        query=role == "query",
        gallery=role == "gallery" if "gallery" in roles else None,
    )
    listing = assign_groups(listing, [groups[row] for row in kept])
    if not counts["val"]:
        return listing
    if "val" in roles:
        note = "there is no test set: val is tested on"
    else:
        left = counted(counts["val"], "image")
        note = f"the splits are {', '.join(roles)}; val, with {left}, is left out"
    return listing._replace(notes=(*listing.notes, f"{path.stem}: {note}"))
