"""From list files and folders to a ``Listing``, checked."""

import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jml._text_files import read_lines
from jml.data._singletons import left_out_queries, singletons_note
from jml.data._types import Listing, Picture

from ._copies import file_content, identify
from ._problems import Problem, Problems, quote


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


def read_list(
    path: Path,
    columns: Sequence[Callable[[str], object]],
    problems: Problems,
    *,
    header: int = 0,
) -> Iterator[tuple[int, list]]:
    """Yields the number and the converted columns of each line of a list file.

    Columns are separated by blanks or tabs. Empty lines are passed over, and of the
    first `header` others those that have other columns. Any other line without these
    columns is one of the `problems`, and so is a file that cannot be read.
    """
    try:
        lines = read_lines(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        problems.add_first(f"cannot read {str(path)!r}: {reason}")
        return
    for number, line in enumerate(lines, 1):
        cells = line.split()
        if not cells:
            continue
        header -= 1
        values: list = []
        with problems.at(path, number):
            try:
                values += (f(cell) for f, cell in zip(columns, cells, strict=True))
            except ValueError as error:
                values.clear()
                if header >= 0:
                    continue
                if isinstance(error, Problem):
                    raise
                kinds = ", ".join("a number" if f is int else "a word" for f in columns)
                raise Problem(f"{quote(line)} is not {kinds}") from None
        if values:
            yield number, values


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
        UserError: a split is empty, there are fewer than two classes to train on, or no
            query has an image to find.
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
    problems = Problems("unpack the data set anew, or mend its lists")
    for split, (number, images) in counts.items():
        least = 1 + (split == "train")
        if number < least:
            problems.add(
                f"{name} has {images} images in {number} classes for {split}; it takes"
                f" {least} class{'es' * (least > 1)} or more"
            )
    problems.check()
    notes = tuple(
        f"{name}: {counts[split][1]:,} images in {counts[split][0]:,} classes for"
        f" {split}, where {images:,} in {number:,} are expected"
        for split, (number, images) in (expected or {}).items()
        if counts[split] != (number, images)
    )
    notes += singletons_note(name, labels[splits["train"]])
    notes += left_out_queries(
        name,
        labels[splits["query"]],
        None if gallery is None else labels[splits["gallery"]],
    )
    names = tuple(class_name(value) for value in distinct.tolist())
    listing = Listing(
        name, pictures, labels.astype(np.int32), names, **splits, notes=notes
    )
    return identify(listing, published=expected is not None)
