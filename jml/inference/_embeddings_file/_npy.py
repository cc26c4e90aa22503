"""A .npy file of embeddings; their paths and labels beside it, in a .csv and a .json.

The .json, which says what the vectors are of, is written last: without it the others
are not whole. The .csv has a row for each vector, and the header path,label.
"""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from jml._names import quoted
from jml._whole_files import replace
from jml.errors import UserError, reason_of

from ._metadata import decoded, encoded
from ._table import Contents, Names, Table
from ._write_parquet import flush

HEADER = ["path", "label"]


def beside(path: Path) -> tuple[Path, Path]:
    """The list of a .npy file, and what says what it is of."""
    return path.with_suffix(".csv"), path.with_suffix(".json")


def npy_is_there(path: Path) -> bool:
    """Whether any of the three files is there."""
    return any(map(os.path.lexists, (path, *beside(path))))


def npy_is_whole(path: Path) -> bool:
    """Whether the file that is written last is there."""
    return beside(path)[1].exists()


def head(path: Path) -> Table:
    """What a .npy file and its .json say; UserError where they are none."""
    about = beside(path)[1]
    with _reported(path):
        rows, columns = _mapped(path).shape
    with _reported(about):
        return Table(path, rows, columns, *decoded(about.read_bytes()))


def _mapped(path: Path) -> Float32[np.ndarray, "n d"]:
    # A damaged header may ask for any memory; a map does not get it.
    mapped = np.lib.format.open_memmap(path, mode="r")
    if mapped.dtype != np.float32 or mapped.ndim != 2 or not mapped.shape[1]:
        raise UserError(
            f"{quoted(path)} is {mapped.dtype} {mapped.shape}, and no float32 [n, D]"
        )
    return mapped


def read_rows(table: Table, vectors: Float32[np.ndarray, "n d"]) -> Names:
    """Reads a file's vectors into an array, and their list."""
    listed = beside(table.path)[0]
    with _reported(table.path):
        vectors[:] = _mapped(table.path)
    with _reported(listed):
        paths, labels = _read_list(listed)
        if len(paths) != table.rows:
            raise UserError(
                f"it has {len(paths):,} paths for the {table.rows:,} vectors of"
                f" {quoted(table.path)}"
            )
    return paths, labels


def _read_list(path: Path) -> Names:
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        rows = csv.reader(file)
        if next(rows, None) != HEADER:
            raise UserError(f"its first line is not {','.join(HEADER)}")
        paths: list[str] = []
        labels: list[str | None] = []
        for number, row in enumerate(rows, 1):
            if len(row) != len(HEADER):
                raise UserError(f"its row {number:,} has not two cells")
            paths.append(row[0])
            labels.append(row[1] or None)
    return paths, labels


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    try:
        yield
        return
    except UserError as error:
        problem = str(error)
        if quoted(path) not in problem:
            problem = f"{quoted(path)}: {problem}"
    except Exception as error:  # a file may hold anything
        reason = getattr(error, "strerror", None) or reason_of(error)
        problem = f"cannot read {quoted(path)}: {reason}"
    raise UserError(
        f"{problem}; pass a .npy file with the .csv and the .json that jml embed writes"
        " beside it."
    )


def write_npy(path: Path, contents: Contents) -> None:
    """Writes the three files, and then moves them: the .json comes last.

    Earlier files stay as they are until all of the new ones is on the disk.
    """
    listed, about = beside(path)
    shape = (contents.rows, contents.columns)

    def write_both(array_path: Path, list_path: Path) -> None:
        options: Any = {"newline": "", "encoding": "utf-8"}
        with (
            open(array_path, "wb") as array,
            open(list_path, "w", errors="surrogateescape", **options) as names,
        ):
            header = np.lib.format.header_data_from_array_1_0(np.empty(0, np.float32))
            np.lib.format.write_array_header_1_0(array, {**header, "shape": shape})
            rows = csv.writer(names, lineterminator="\n")
            rows.writerow(HEADER)
            for piece in contents.pieces:
                array.write(np.ascontiguousarray(piece.vectors, "<f4").data)
                labels = piece.labels or [None] * len(piece.paths)
                rows.writerows(zip(piece.paths, labels, strict=True))
            flush(array)
            flush(names)
        about.unlink(missing_ok=True)  # an array and a list of two models never mix

    def write_all(unfinished: Path) -> None:
        unfinished.write_bytes(encoded(contents.model, contents.part))
        replace(path, lambda x: replace(listed, lambda names: write_both(x, names)))

    replace(about, write_all)
