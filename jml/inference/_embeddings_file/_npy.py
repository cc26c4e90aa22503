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

from jml._names import quoted
from jml._whole_files import replace
from jml.errors import UserError, reason_of
from jml.inference._embeddings import Embeddings

from ._metadata import decoded, encoded
from ._parquet import flush, known

HEADER = ["path", "label"]


def beside(path: Path) -> tuple[Path, Path]:
    """The list of a .npy file, and what says what it is of."""
    return path.with_suffix(".csv"), path.with_suffix(".json")


def read_npy(path: Path) -> Embeddings:
    """Reads a .npy file of embeddings with its list; UserError where it is none."""
    listed, about = beside(path)
    with _reported(path):
        # A damaged header may ask for any memory; a map does not get it.
        mapped = np.lib.format.open_memmap(path, mode="r")
        if mapped.dtype != np.float32 or mapped.ndim != 2 or not mapped.shape[1]:
            raise UserError(
                f"{quoted(path)} is {mapped.dtype} {mapped.shape}, and no float32 [n,"
                " D]; write it with jml embed."
            )
        vectors = np.array(mapped)
    with _reported(about):
        model, _ = decoded(about.read_bytes())
    with _reported(listed):
        paths, labels = _read_list(listed)
    if len(paths) != len(vectors):
        raise UserError(
            f"{quoted(listed)} has {len(paths):,} paths for the {len(vectors):,}"
            f" vectors of {quoted(path)}; write them anew with jml embed."
        )
    return Embeddings(vectors, paths, known(labels), model)


def _read_list(path: Path) -> tuple[list[str], list[str | None]]:
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
    except UserError as error:
        if quoted(path) in str(error):
            raise
        problem = f"{quoted(path)}: {error}"
    except Exception as error:  # a file may hold anything
        problem = f"cannot read {quoted(path)}: {reason_of(error)}"
    else:
        return
    raise UserError(
        f"{problem}; pass a .npy file with the .csv and the .json that jml embed writes"
        " beside it."
    )


def write_npy(path: Path, embeddings: Embeddings) -> None:
    """Writes the three files; an earlier .json goes first, and the new comes last."""
    listed, about = beside(path)

    def write_list(unfinished: Path) -> None:
        options: Any = {"newline": "", "encoding": "utf-8"}
        with open(unfinished, "w", errors="surrogateescape", **options) as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(HEADER)
            labels = embeddings.labels or [None] * len(embeddings.paths)
            rows.writerows(zip(embeddings.paths, labels, strict=True))

    def write_array(unfinished: Path) -> None:
        with open(unfinished, "wb") as file:
            np.lib.format.write_array(file, embeddings.vectors, allow_pickle=False)
            flush(file)

    about.unlink(missing_ok=True)
    replace(path, write_array)
    replace(listed, write_list)
    replace(about, lambda unfinished: unfinished.write_bytes(encoded(embeddings.model)))


def exists(path: Path) -> bool:
    """Whether any of the three files is there."""
    return any(map(os.path.lexists, (path, *beside(path))))
