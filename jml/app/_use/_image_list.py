"""Images that a text file lists: a path a line, or CSV with a header."""

import csv
import os
from pathlib import Path
from typing import NamedTuple

from jml._names import quoted
from jml._text_files import read_lines
from jml.errors import UserError

ADVICE = "pass a text file with a path in each line, or CSV with the header path,label"


class ImageList(NamedTuple):
    """What a list holds."""

    names: list[str]  # as they stand in the list
    labels: list[str | None] | None
    root: Path  # the folder that relative paths count from


def read_image_list(path: Path) -> ImageList:
    """Reads a list of images.

    Relative paths count from the current folder, or, if the first of them is not there,
    from the folder of the list. A list whose name ends in .csv has a header with the
    column path, and perhaps label; an empty label is not known.

    Raises:
        UserError: it cannot be read, or names no image.
    """
    try:
        if path.is_char_device() or path.is_block_device():  # it may have no end
            raise UserError(f"{quoted(path)} is a device; {ADVICE}.")
        lines = read_lines(path)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot read {quoted(path)}: {reason}; {ADVICE}.") from None
    if any("\0" in line for line in lines):
        raise UserError(f"{quoted(path)} is no text; {ADVICE}.")
    labels: list[str | None] | None = None
    if path.suffix.lower() == ".csv":
        names, labels = _of_csv(path, lines)
    else:
        names = [line for line in lines if line.strip()]
    if not names:
        raise UserError(f"{quoted(path)} lists no image; {ADVICE}.")
    return ImageList(names, labels, _root(path, names))


def _of_csv(path: Path, lines: list[str]) -> tuple[list[str], list[str | None] | None]:
    rows = csv.DictReader(f"{line}\n" for line in lines)
    try:
        if "path" not in (rows.fieldnames or ()):
            raise UserError(f"{quoted(path)} has no column path; {ADVICE}.")
        listed = [(row["path"], row.get("label") or None) for row in rows]
    except csv.Error as error:
        raise UserError(f"{quoted(path)} is no CSV: {error}; {ADVICE}.") from None
    listed = [(name, label) for name, label in listed if name]
    known = any(label is not None for _, label in listed)
    return [name for name, _ in listed], [
        label for _, label in listed
    ] if known else None


def _root(path: Path, names: list[str]) -> Path:
    relative = next((name for name in names if not os.path.isabs(name)), None)
    if relative is not None and not os.path.lexists(relative):
        if os.path.lexists(path.parent / relative):
            return path.parent
    return Path()
