"""Reads list files, and finds the folder that their paths count from."""

import os
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from jml._names import quoted
from jml._text_files import read_lines
from jml.data._messages import quote

from ._files import File, ImageFolder
from ._problems import Problem, Problems
from ._search import MOST, folders_below, layout_error

SAMPLE = 16  # paths of a list, of which one must exist in the folder


class Line(NamedTuple):
    """A line of a list file that names an image."""

    file: Path  # the list
    number: int
    path: str  # the image


class Place(NamedTuple):
    """The folder that the paths of a list count from."""

    folder: Path | None  # None: no folder has these images
    paths: list[str]  # the images, as counted from there


def read_list(
    path: Path,
    columns: Sequence[Callable[[str], object]],
    problems: Problems,
    *,
    header: int = 0,
) -> Iterator[tuple[int, list]]:
    """Yields the number and the converted columns of each line of a list file.

    Columns are separated by blanks or tabs. Empty lines are skipped. So are the first
    `header` other lines where they have other columns. Any further line with other
    columns is added to `problems`, and so is a file that cannot be read.
    """
    try:
        lines = read_lines(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        problems.add_first(f"cannot read {quoted(path)}: {reason}")
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


def open_images(
    root: str | os.PathLike,
    lines: Sequence[Line],
    problems: Problems,
    layout: str,
    *,
    prefixed: bool = False,
    named: str = "*",
    place: Place | None = None,
) -> list[File]:
    """Returns the images that the lines of lists name, wherever their folder is.

    Args:
        root: where to search.
        lines: the lines that name the images.
        problems: of the lists so far.
        layout: the files and folders of the data set, for the error.
        prefixed: all paths begin with one folder, which may have another name here.
        named: pattern for the name of the folder that the paths count from.
        place: the result of ``locate``, if it was called before.

    Raises:
        UserError: there are problems, or no folder has these images.
    """
    root = Path(root)
    if not lines:
        problems.check()
        return []
    if place is None:
        place = locate(root, lines, prefixed=prefixed, named=named)
    folder = ImageFolder(place.folder or lines[0].file.parent)
    images = []
    for line, path in zip(lines, place.paths, strict=True):
        with problems.at(line.file, line.number):
            images.append(folder.file(path))
    problems.check()
    if place.folder is None:
        first = place.paths[0] if named == "*" else f"{named}/{place.paths[0]}"
        missing = f"{quote(first)}, which {lines[0].file.name} lists"
        raise layout_error(root, missing, layout)
    return images


def locate(
    root: Path,
    lines: Sequence[Line],
    *,
    prefixed: bool = False,
    named: str = "*",
) -> Place:
    """Finds the folder that the paths of lists count from.

    Arguments are those of ``open_images``.
    """
    near, paths = lines[0].file.parent, [line.path for line in lines]
    folder = _find_folder(root, near, paths, named=named)
    if folder is None and prefixed:
        shorter = [path.partition("/")[2] for path in paths]
        folder = _find_folder(root, near, shorter)
        paths = paths if folder is None else shorter
    return Place(folder, paths)


def _find_folder(
    root: Path, near: Path, paths: Sequence[str], *, named: str = "*"
) -> Path | None:
    """The first folder that has one image of a sample; None where none has.

    Args:
        root: where to search.
        near: the folder in it to search first: that of the list.
        paths: paths of the images.
        named: pattern for the name of the folder.
    """
    sample = [paths[i * (len(paths) - 1) // (SAMPLE - 1)] for i in range(SAMPLE)]
    sample = [path.replace("\\", "/").lstrip("/") for path in dict.fromkeys(sample)]
    sample = [path for path in sample if path and ".." not in path]
    starts = [near] if near == root else [near, near.parent, root]
    for start in starts:
        for folder in islice(folders_below(start), MOST):
            exist = (os.path.isfile(folder / path) for path in sample)
            if fnmatch(folder.name, named) and any(exist):
                return folder
    return None
