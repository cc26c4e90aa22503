"""From list files and folders to a ``Listing``, checked."""

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from jml.errors import UserError

from ._copies import file_content, identify
from ._types import Listing, Picture


class File(NamedTuple):
    """A picture that is a file."""

    path: str  # and not a Path, which takes ten times the memory

    @property
    def name(self) -> str:
        """Its path."""
        return self.path

    def read(self) -> bytes:
        """What is in the file."""
        with open(self.path, "rb") as file:
            return file.read()

    def stamp(self) -> str:
        """Its size and the time of its last change."""
        try:
            status = os.stat(self.path)
        except OSError as error:
            return error.strerror or "unreadable"
        return f"{status.st_size} {status.st_mtime_ns}"

    def content(self, depth: int) -> Hashable:
        """Its size, a digest of its end, or one of it all."""
        return file_content(self.path, depth)


def find_root(root: str | os.PathLike, marker: str, *below: str, needs: str) -> Path:
    """The folder that holds `marker`: `root`, or one of the folders `below` it.

    Raises:
        UserError: none does; says what the data set `needs`.
    """
    for folder in (Path(root), *(Path(root, name) for name in below)):
        if (folder / marker).exists():
            return folder
    reason = "has no" if Path(root).is_dir() else "is no folder that holds"
    raise UserError(f"--dataroot: {str(root)!r} {reason} {marker}; {needs}.")


def read_list(
    path: Path, columns: Sequence[Callable[[str], object]], *, header: int = 0
) -> Iterator[tuple[int, list]]:
    """Yields the number and the converted columns of each line of a list file.

    Columns are separated by blanks. The first `header` lines and empty ones are passed
    over.

    Raises:
        UserError: the file cannot be read, or a line has other columns; names both.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UserError(
            f"--dataroot: cannot read {str(path)!r}: {reason}; unpack the data set"
            " anew."
        ) from None
    for number, line in enumerate(lines[header:], header + 1):
        cells = line.split()
        if not cells:
            continue
        try:
            values = [f(cell) for f, cell in zip(columns, cells, strict=True)]
        except ValueError:
            kinds = ", ".join("a number" if f is int else "a word" for f in columns)
            raise bad_line(path, number, f"{line!r} is not {kinds}") from None
        yield number, values


def bad_line(path: Path, number: int, problem: str) -> UserError:
    """The error for one line of a list."""
    return UserError(
        f"--dataroot: {str(path)!r}, line {number}: {problem}; mend the line or unpack"
        " the data set anew."
    )


def file_below(root: Path, relative: str, path: Path, number: int) -> File:
    """The picture that a line of a list names, which must lie below `root`.

    Raises:
        UserError: it would lie elsewhere.
    """
    parts = PurePosixPath(relative.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts:
        raise bad_line(path, number, f"{relative!r} leaves the data root")
    return File(os.path.join(root, parts))


def make_listing(
    name: str,
    pictures: Sequence[Picture],
    classes: Sequence,
    *,
    train: np.ndarray,
    query: np.ndarray,
    gallery: np.ndarray | None = None,
    class_name: Callable[[object], str] = str,
    expected: dict[str, tuple[int, int]] | None = None,
) -> Listing:
    """Puts a listing together from masks over its pictures.

    Args:
        name: of the data set.
        pictures: all of them.
        classes: the class of each, in any form that sorts.
        train: True for those to train on; so the next two.
        query: those to search for.
        gallery: those to search among, None for the queries.
        class_name: from the form in `classes` to the name.
        expected: classes and pictures that the splits of the data set are known for; a
            difference becomes a note.

    Raises:
        UserError: a split is empty, or there are fewer than two classes to train on.
    """
    distinct, labels = np.unique(np.asarray(classes), return_inverse=True)
    masks = {"train": train, "query": query, "gallery": gallery}
    splits = {
        split: None if mask is None else np.flatnonzero(mask)
        for split, mask in masks.items()
    }
    counts = {
        split: (len(np.unique(labels[rows])), len(rows))
        for split, rows in splits.items()
        if rows is not None
    }
    for split, (number, images) in counts.items():
        if number < 1 + (split == "train"):
            raise UserError(
                f"--dataroot: {name} has {images} images in {number} classes for"
                f" {split}; it takes {1 + (split == 'train')} classes or more."
            )
    notes = tuple(
        f"{name}: {counts[split][1]:,} images in {counts[split][0]:,} classes for"
        f" {split}, where {images:,} in {number:,} are expected"
        for split, (number, images) in (expected or {}).items()
        if counts[split] != (number, images)
    )
    singles = np.count_nonzero(np.bincount(labels[splits["train"]]) == 1)
    if singles:
        notes += (
            f"{name}: {singles:,} of {counts['train'][0]:,} training classes have a"
            " single image and are never drawn",
        )
    names = tuple(class_name(value) for value in distinct.tolist())
    listing = Listing(
        name, pictures, labels.astype(np.int32), names, **splits, notes=notes
    )
    return identify(listing, published=expected is not None)
