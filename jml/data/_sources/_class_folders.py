"""Images from a folder with one sub-folder per class."""

import os
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from jml._names import quoted
from jml._value_checks import check_path
from jml.data._messages import counted, name_some, quote
from jml.data._types import Listing
from jml.errors import UserError

from ._files import File
from ._folder_contents import Contents, Scan, contents, scan_folder
from ._listing import make_listing
from ._problems import Problems
from ._splits import LAYOUT, find_splits, splits_notes


def folder(root: str | os.PathLike, *, nested: bool = False) -> Listing:
    """Lists ``root/<class>/<image>``, or splits of that layout.

    With ``root/train`` and ``root/test``, or ``root/train``, ``root/query`` and
    ``root/gallery``, in any capitals, these are the splits. ``root/val`` is tested on
    where there is nothing else to test on, and left out where there is. Otherwise the
    classes are the sub-folders in the order of their names; the first half is for
    training and the second for testing (of five classes, three are for training).

    Images are the files with an extension that Pillow reads. Other files are skipped,
    and so are names that begin with a dot. Links are followed. Notes say how many
    images are left out for their place or their format.

    Args:
        root: the folder.
        nested: read the images in all folders below that of a class, too.

    Returns:
        The listing.

    Raises:
        UserError: no such folder, too few classes, or classes without an image; names
            them.
    """
    root = check_path("folder", "root", root)
    name = root.resolve().name
    top = _list_folder(root)
    splits = find_splits(root, top)
    parts = {role: _list_folder(path) for role, path in splits.items()} or {"": top}
    scans = {
        role: [scan_folder(path, nested=nested) for path in part.folders]
        for role, part in parts.items()
    }
    _check_classes(root, splits, parts, scans)
    if not splits:
        half = (len(scans[""]) + 1) // 2
        scans = {"train": scans[""][:half], "query": scans[""][half:]}
    rows = [
        (File(image), of_class.path.name, role)
        for role, classes in scans.items()
        for of_class in classes
        for image in of_class.images
    ]
    images, classes, roles = zip(*rows, strict=True)
    role = np.array(roles)
    listing = make_listing(
        name,
        images,
        classes,
        train=role == "train",
        query=role == "query",
        gallery=role == "gallery" if "gallery" in splits else None,
    )
    notes = splits_notes(name, top, splits) if splits else []
    places = [top, *parts.values()] if splits else [top]
    notes += _left_out_note(name, places, [*chain.from_iterable(scans.values())])
    return listing._replace(notes=(*listing.notes, *notes))


def _list_folder(path: Path) -> Contents:
    """Lists a folder; raises a UserError where that cannot be done."""
    try:
        return contents(path)
    except FileNotFoundError:
        reason = "no such directory"
    except NotADirectoryError:
        reason = "not a directory"
    except OSError as error:
        reason = f"cannot be listed ({error.strerror})"
    raise UserError(f"`root`: {reason}: {quoted(path)}; {LAYOUT}.")


def _check_classes(
    root: Path,
    splits: dict[str, Path],
    parts: dict[str, Contents],
    scans: dict[str, list[Scan]],
) -> None:
    """Raises a UserError where there are too few classes, or some hold no image.

    Args:
        root: the folder of the data set.
        splits: the folder of each role; {} without splits.
        parts: what is in these folders; in the root, under "", without splits.
        scans: the classes of each of the `parts`.
    """
    classes = [*chain.from_iterable(scans.values())]
    empty = [scan for scan in classes if not scan.images or scan.fault]
    few = len(classes) < 4 and not splits
    hint = _hint(parts[""]) if few else ""
    if hint:
        empty = []  # these folders are no classes
    advice = f"give each an image or remove it from {quoted(root)}"
    if any(scan.below for scan in empty):
        advice += ", or pass `nested=True`, which reads the folders below"
    flat = [role for role in splits if not scans[role]]
    problems = Problems(LAYOUT if few or flat else advice)
    if few:
        problems.add(_too_few(root, len(classes), hint, len(parts[""].images)))
    for role in flat:
        images = len(parts[role].images)
        problems.add(
            f"{quoted(splits[role])} holds no folder of a class"
            + f", but {counted(images, 'image')}" * bool(images)
        )
    for scan in empty:
        place = quote(str(scan.path.relative_to(root)))
        if scan.fault:
            problems.add(f"class {place}: {scan.fault}")
            continue
        instead = scan.instead_of_images()
        problems.add(
            f"class {place} has no image that Pillow reads"
            + f" ({instead})" * bool(instead)
        )
    problems.check()


def _too_few(root: Path, classes: int, hint: str, loose: int) -> str:
    count = ("no class", "a single class", "two classes", "three classes")[classes]
    beside = f"; {counted(loose, 'image')} beside are in none" * bool(loose)
    return (
        f"{quoted(root)} has {count}, and it takes four, two to train and two to"
        f" test{hint or beside}"
    )


def _hint(top: Contents) -> str:
    """Where the classes may be, if not in the root."""
    if len(top.folders) == 1 and len(below := _list_folder(top.folders[0]).folders) > 1:
        return f" (is it {quoted(top.folders[0])}, which holds {len(below):,} folders?)"
    return ""


def _left_out_note(
    name: str, parts: Sequence[Contents], scans: Sequence[Scan]
) -> list[str]:
    """One line about the images that are not read, if there are any.

    Args:
        name: of the data set.
        parts: what is in the folders that hold those of classes.
        scans: the classes.
    """
    below = sum(scan.below for scan in scans)
    loose = sum(len(part.images) for part in parts)
    unread = sum((place.unread for place in (*parts, *scans)), Counter())
    links = [link for place in (*parts, *scans) for link in place.links]
    left = []
    if below:
        where = "in folders below a class's, which `nested=True` reads"
        left.append(f"{counted(below, 'image')} {where}")
    if unread:
        kinds = ", ".join(f"{total:,} {kind}" for kind, total in unread.most_common())
        left.append(f"files that Pillow does not read: {kinds}")
    if loose:
        left.append(f"{counted(loose, 'image')} in no class's folder")
    if links:
        left.append(f"links that lead nowhere: {name_some(links)}")
    return [f"{name}: left out: {'; '.join(left)}"] if left else []
