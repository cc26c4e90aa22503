"""Where the files of a data set are, however it was unpacked."""

import filecmp
import os
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

from jml.errors import UserError

from ._inside import Inside
from ._listing import File
from ._problems import Problems, name_some, quote

DEEP = 4  # folders below the data root that are looked into
MOST = 10_000  # folders altogether: the root may be anybody's home
SAMPLE = 16  # pictures of a list of which one must be there
Place = tuple[Path | None, list[str]]  # a folder, and the paths of pictures from there


def is_hidden(name: str) -> bool:
    """What is no part of a data set: dot files, and what a Mac leaves in archives."""
    return name.startswith(".") or name == "__MACOSX"


def folders_below(root: Path) -> Iterator[Path]:
    """The root and the folders below it, upper ones first, each level by name."""
    level = [root]
    for _ in range(DEEP):
        yield from level
        level = [path for folder in level for path in _sub_folders(folder)]
    yield from level


def _sub_folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [e.name for e in entries if not is_hidden(e.name) and is_folder(e)]
    except OSError:
        return []
    return [folder / name for name in sorted(names)]


def is_folder(entry: os.DirEntry) -> bool:
    """Whether it is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def find_file(root: Path, pattern: str) -> Path | None:
    """The file of this name, in the root or in as high a folder below as can be.

    Raises:
        UserError: there are several at that height, with different contents.
    """
    found: list[Path] = []
    for folder in islice(folders_below(root), MOST):
        if found and len(folder.parts) > len(found[0].parent.parts):
            break
        found += _matches(folder, pattern)
    for other in found[1:]:
        if not filecmp.cmp(found[0], other, shallow=False):
            raise UserError(
                f"--dataroot: {str(root)!r} holds several {found[0].name}, in"
                f" {name_some(str(path.parent) for path in found)}; pass the folder of"
                " one of them."
            )
    return found[0] if found else None


def _matches(folder: Path, pattern: str) -> list[Path]:
    if "*" not in pattern:
        return [folder / pattern] if os.path.isfile(folder / pattern) else []
    try:
        names = sorted(name for name in os.listdir(folder) if fnmatch(name, pattern))
    except OSError:
        return []
    return [folder / name for name in names if os.path.isfile(folder / name)]


def open_pictures(
    root: str | os.PathLike,
    lines: Sequence[tuple[Path, int, str]],
    problems: Problems,
    known: str,
    *,
    prefixed: bool = False,
    named: str = "*",
    place: Place | None = None,
) -> list[File]:
    """The pictures that the lines of lists name, wherever their folder is.

    Args:
        root: where to look.
        lines: list, number and path of each picture.
        problems: of the lists so far.
        known: the layout of the data set.
        prefixed: all paths begin with one folder, which may have another name.
        named: pattern for the name of the folder that they count from.
        place: what ``locate`` found, if it was asked before.

    Raises:
        UserError: there are problems, or no folder has these pictures.
    """
    root = Path(root)
    if not lines:
        problems.check()
        return []
    if place is None:
        place = locate(root, lines, prefixed=prefixed, named=named)
    folder, listed = place
    inside = Inside(lines[0][0].parent if folder is None else folder)
    pictures = []
    for (path, number, _), relative in zip(lines, listed, strict=True):
        with problems.at(path, number):
            pictures.append(inside.file(relative))
    problems.check()
    if folder is None:
        first = quote(listed[0] if named == "*" else f"{named}/{listed[0]}")
        raise layout_error(root, f"{first}, which {lines[0][0].name} lists", known)
    return pictures


def locate(
    root: Path,
    lines: Sequence[tuple[Path, int, str]],
    *,
    prefixed: bool = False,
    named: str = "*",
) -> Place:
    """Where the pictures are that lists name, and their paths from there.

    Arguments are those of ``open_pictures``; None in place of a folder where none has
    these pictures.
    """
    near, listed = lines[0][0].parent, [path for *_, path in lines]
    folder = _find_pictures(root, near, listed, named=named)
    if folder is None and prefixed:
        shorter = [path.partition("/")[2] for path in listed]
        folder = _find_pictures(root, near, shorter)
        listed = listed if folder is None else shorter
    return folder, listed


def _find_pictures(
    root: Path, near: Path, listed: Sequence[str], *, named: str = "*"
) -> Path | None:
    """The folder that the listed paths count from; None where there is none.

    Args:
        root: where to look.
        near: a folder in it to look into first: that of the list.
        listed: paths of pictures, of which one of a few is looked for.
        named: pattern for the name of the folder.
    """
    sample = [listed[i * (len(listed) - 1) // (SAMPLE - 1)] for i in range(SAMPLE)]
    sample = [path.replace("\\", "/").lstrip("/") for path in dict.fromkeys(sample)]
    sample = [path for path in sample if path and ".." not in path]
    starts = [near] if near == root else [near, near.parent, root]
    for start in starts:
        for folder in islice(folders_below(start), MOST):
            there = (os.path.isfile(folder / path) for path in sample)
            if fnmatch(folder.name, named) and any(there):
                return folder
    return None


def layout_error(root: Path, missing: str, known: str) -> UserError:
    """The error for a folder that has no layout that is known.

    Args:
        root: the folder.
        missing: what was looked for.
        known: the layouts.
    """
    try:
        held = sorted(name for name in os.listdir(root) if not is_hidden(name))
    except OSError as error:
        return UserError(
            f"--dataroot: {str(root)!r} cannot be listed: {error.strerror}; pass a"
            f" folder with {known}."
        )
    return UserError(
        f"--dataroot: {str(root)!r} has no {missing}, up to {DEEP} folders down; it"
        f" holds {name_some(held) or 'nothing'}; pass a folder with {known}."
    )
