"""Rows of tables as spreadsheets write them: any mark, separator and capitals."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from jml._text_files import read_lines
from jml.errors import UserError

from ._problems import name_some

SEPARATORS = ",;\t|"


def table_rows(
    path: Path, columns: Sequence[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the number of each line and its cells by the names of their columns.

    The separator is the one that the first line has between its names. Capitals of
    these do not count, nor do blanks around cells, nor lines without anything in them.

    Args:
        path: the table.
        columns: names that it must have, in lower case; it may have others.

    Raises:
        UserError: the table cannot be read, or lacks columns; names it.
    """
    advice = f"pass a CSV file with the columns {', '.join(columns)}"
    try:
        lines = read_lines(path)
        separator, skipped = None, 0
        if match := re.fullmatch(r"sep=(.)\s*", lines[0], re.IGNORECASE):
            separator, skipped = match[1], 1  # what Excel writes and reads
        reader = csv.reader(
            (line + "\n" for line in lines[skipped:]),
            delimiter=separator or _separator(lines, columns),
        )
        names: list[str] | None = None
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            number = skipped + reader.line_num
            if names is None:
                names = [cell.lower() for cell in cells]
                _check_names(path, number, names, columns, advice)
            else:
                cells += [""] * (len(names) - len(cells))
                yield number, dict(zip(names, cells, strict=False))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"--dataroot: cannot read {str(path)!r}: {reason}; {advice}."
        ) from None
    if names is None:
        raise UserError(f"--dataroot: {str(path)!r} is empty; {advice}.")


def _separator(lines: Sequence[str], columns: Sequence[str]) -> str:
    """That with the most of the columns in the first line that holds anything."""
    first = next((line for line in lines if line.strip()), "")

    def known(separator: str) -> int:
        cells = next(csv.reader([first], delimiter=separator), [])
        return len({cell.strip().lower() for cell in cells} & set(columns))

    return max(SEPARATORS, key=known)


def _check_names(
    path: Path,
    number: int,
    names: Sequence[str],
    columns: Sequence[str],
    advice: str,
) -> None:
    missing = sorted(set(columns) - set(names))
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if missing or twice:
        problem = (
            f"there is no column {' or '.join(missing)}, only {name_some(names)}"
            if missing
            else f"there are two columns {' and '.join(twice)}"
        )
        raise UserError(
            f"--dataroot: {str(path)!r}, line {number}: {problem}; {advice}."
        )
