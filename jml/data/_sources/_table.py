"""Images from a CSV table: any separator, capitals and mark of byte order."""

import csv
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from jml._names import quoted
from jml._text_files import read_lines
from jml._value_checks import check_path
from jml.data._messages import counted, name_some, quote
from jml.data._types import Listing
from jml.errors import UserError

from ._files import ImageFolder
from ._listing import make_listing
from ._problems import Problem, Problems
from ._splits import canonical_split, roles_of

COLUMNS = ("path", "label", "split")
ADVICE = f"pass a CSV file with the columns {', '.join(COLUMNS)}"
SEPARATORS = ",;\t|"


def table(path: str | os.PathLike) -> Listing:
    """Lists the images of a CSV file with the columns path, label and split.

    Paths count from the folder of the table, or are absolute, and lead into it. The
    splits are train and test, or train, query and gallery, in any capitals. A split val
    is tested on where there is nothing else to test on, and left out where there is.

    A column group may name the camera or the sequence of an image: a query's ranking
    leaves out the images of its class and group, as Market-1501's protocol does. An
    empty cell, or -1, is no group.

    Args:
        path: the table. Its first line names the columns. All lines have the same
            separator: a comma, a semicolon, a tab or a bar. The text is UTF-8, or what
            its mark of byte order says.

    Returns:
        The listing.

    Raises:
        UserError: the table cannot be read, or lines do not fit; names them.
    """
    path = check_path("table", "path", path)
    if path.is_dir():
        raise UserError(f"`path`: {quoted(path)} is a folder; pass the CSV file.")
    problems = Problems("fix that in the table", argument="path")
    folder = ImageFolder(path.parent)
    images, classes, splits, groups = [], [], [], []
    counts: Counter[str] = Counter()
    for number, row in _rows(path):
        with problems.at(path, number):
            split = canonical_split(row["split"])
            if split is None:
                known = "train, test, val, query or gallery"
                raise Problem(f"split {quote(row['split'])} is not {known}")
            counts[split] += 1
            if not row["path"] or not row["label"]:
                raise Problem("path or label is empty")
            images.append(folder.file(row["path"]))
            classes.append(row["label"])
            splits.append(split)
            groups.append(row.get("group", ""))
    roles = _roles(path, counts, problems)
    problems.check()
    kept = [row for row, split in enumerate(splits) if split in roles]
    role = np.array([roles[splits[row]] for row in kept])
    listing = make_listing(
        path.stem,
        [images[row] for row in kept],
        [classes[row] for row in kept],
        train=role == "train",
        query=role == "query",
        gallery=role == "gallery" if "gallery" in roles else None,
        argument="path",
    )
    listing = _with_groups(listing, [groups[row] for row in kept])
    notes = _validation_note(listing.name, counts["val"], roles)
    return listing._replace(notes=(*listing.notes, *notes))


def _roles(path: Path, counts: Counter[str], problems: Problems) -> dict[str, str]:
    """What each split is for; adds a problem where they are not those of a data set."""
    try:
        return roles_of(counts)
    except Problem as problem:
        held = f"the splits {', '.join(counts)}" if counts else "no line of an image"
        problems.add(f"{quoted(path)} has {held}: {problem}")
        return {}


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the number of each line and its cells by the names of their columns.

    The separator is the one that the first line has between its names. Their capitals
    do not matter, nor do blanks around cells. Lines of empty cells are skipped.

    Raises:
        UserError: the table cannot be read, or lacks columns; names it.
    """
    try:
        lines = read_lines(path)
        separator, skipped = None, 0
        if match := re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE):
            separator, skipped = match[1], 1  # what Excel writes and reads
        reader = csv.reader(
            (line + "\n" for line in lines[skipped:]),
            delimiter=separator or _separator(lines),
        )
        names: list[str] | None = None
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            number = skipped + reader.line_num
            if names is None:
                names = [cell.lower() for cell in cells]
                _check_names(path, number, names)
            else:
                cells += [""] * (len(names) - len(cells))
                yield number, dict(zip(names, cells, strict=False))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"`path`: cannot read {quoted(path)}: {reason}; {ADVICE}."
        ) from None
    if names is None:
        raise UserError(f"`path`: {quoted(path)} is empty; {ADVICE}.")


def _separator(lines: Sequence[str]) -> str:
    """The one that finds the most of the columns in the first line with any text."""
    first = next((line for line in lines if line.strip()), "")

    def known_columns(separator: str) -> int:
        cells = next(csv.reader([first], delimiter=separator), [])
        return len({cell.strip().lower() for cell in cells} & set(COLUMNS))

    return max(SEPARATORS, key=known_columns)


def _check_names(path: Path, number: int, names: Sequence[str]) -> None:
    missing = sorted(set(COLUMNS) - set(names))
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if missing or twice:
        problem = (
            f"there is no column {' or '.join(missing)}, only {name_some(names)}"
            if missing
            else f"there are two columns {' and '.join(twice)}"
        )
        raise UserError(f"`path`: {quoted(path)}, line {number}: {problem}; {ADVICE}.")


def _with_groups(listing: Listing, cells: Sequence[str]) -> Listing:
    """Fills `groups` from the cells of that column, if a test image has one."""
    numbers: dict[str, int] = {}
    groups = np.array(
        [
            -1 if cell in ("", "-1") else numbers.setdefault(cell, len(numbers))
            for cell in map(str.strip, cells)
        ]
    )
    tested = [rows for rows in (listing.query, listing.gallery) if rows is not None]
    used = np.unique(groups[np.concatenate(tested)])
    total = np.count_nonzero(used >= 0)
    if not total:
        return listing
    groups_are = "groups are" if total > 1 else "group is"
    note = (
        f"{listing.name}: {total:,} {groups_are} in use: a query's ranking leaves out"
        " the images of its class and group"
    )
    return listing._replace(groups=groups, notes=(*listing.notes, note))


def _validation_note(name: str, images: int, roles: dict[str, str]) -> list[str]:
    if not images:
        return []
    if "val" in roles:
        return [f"{name}: there is no test set: val is tested on"]
    used = f"the splits are {', '.join(roles)}"
    return [f"{name}: {used}; val, with {counted(images, 'image')}, is left out"]
