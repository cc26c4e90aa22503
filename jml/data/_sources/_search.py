"""Finds files below a root, however a data set was unpacked."""

import filecmp
import os
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

from jml._names import quoted
from jml.data._messages import name_some
from jml.errors import UserError

DEEP = 4  # levels of folders below the root that are searched
MOST = 10_000  # folders that are searched altogether: the root may be a home folder


def is_hidden(name: str) -> bool:
    """Whether a name is no part of a data set: dot files, what a Mac adds to archives.

    >>> is_hidden(".DS_Store"), is_hidden("__MACOSX"), is_hidden("images")
    (True, True, False)
    """
    return name.startswith(".") or name == "__MACOSX"


def is_folder(entry: os.DirEntry) -> bool:
    """Whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def folders_below(root: Path) -> Iterator[Path]:
    """Yields the root and the folders below it, level by level, each by name."""
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


def find_file(root: Path, pattern: str) -> Path | None:
    """Finds the file of a name on the highest level that has one.

    Raises:
        UserError: that level has several, with different contents.
    """
    files: list[Path] = []
    for folder in islice(folders_below(root), MOST):
        if files and len(folder.parts) > len(files[0].parent.parts):
            break
        files += _matches(folder, pattern)
    for other in files[1:]:
        if not filecmp.cmp(files[0], other, shallow=False):
            raise UserError(
                f"`root`: {quoted(root)} holds several {files[0].name}, in"
                f" {name_some(str(path.parent) for path in files)}; pass the folder of"
                " one of them."
            )
    return files[0] if files else None


def _matches(folder: Path, pattern: str) -> list[Path]:
    if "*" not in pattern:
        return [folder / pattern] if os.path.isfile(folder / pattern) else []
    try:
        names = sorted(name for name in os.listdir(folder) if fnmatch(name, pattern))
    except OSError:
        return []
    return [folder / name for name in names if os.path.isfile(folder / name)]


def find_list(root: str | os.PathLike, name: str, layout: str) -> Path:
    """Finds the list file of a data set.

    Args:
        root: where to search.
        name: of the list file.
        layout: the files and folders of the data set, for the error.

    Raises:
        UserError: there is none, or `root` is a folder beside it.
    """
    root = Path(root)
    path = find_file(root, name)
    if path is not None:
        return path
    above = root.absolute().parent
    if root.is_dir() and any(os.path.isfile(above / p / name) for p in (".", "Eval")):
        raise UserError(
            f"`root`: {quoted(root)} is a part of the data set; pass {quoted(above)}."
        )
    raise layout_error(root, name, layout)


def layout_error(root: Path, missing: str, layout: str) -> UserError:
    """The error for a folder that does not have the layout of a data set.

    Args:
        root: the folder.
        missing: what was searched for.
        layout: the files and folders of the data set.
    """
    try:
        names = sorted(name for name in os.listdir(root) if not is_hidden(name))
    except OSError as error:
        return UserError(
            f"`root`: {quoted(root)} cannot be listed: {error.strerror}; pass a folder"
            f" with {layout}."
        )
    return UserError(
        f"`root`: {quoted(root)} has no {missing}, up to {DEEP} folders down; it holds"
        f" {name_some(names) or 'nothing'}; pass a folder with {layout}."
    )
