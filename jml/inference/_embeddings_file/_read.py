"""Embeddings from disk: from one file, from a folder of parts, from a .npy file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jml._names import quoted
from jml._value_checks import check_path
from jml.errors import UserError
from jml.inference._embeddings import Embeddings

from ._formats import FORMATS, format_of
from ._metadata import difference
from ._part import Part, what_is_missing
from ._table import Table, known


def read_embeddings(path: str | os.PathLike) -> Embeddings:
    """Reads the embeddings that ``jml embed`` wrote.

    Args:
        path: a parquet file; a folder of parquet files, as ``jml embed --shard`` writes
            it, whose rows are put in the order of the collection; or a .npy file, with
            its .csv and .json beside it. Nothing in it is trusted.

    Returns:
        The embeddings: float32 vectors [n, D], which are in memory once, the paths as
        they were passed to ``jml embed``, the labels, and what the model was.

    Raises:
        UserError: it cannot be read, holds no rows, is of something else, lacks a
            part, or has parts of different models; one line that names the file.

    >>> read_embeddings("images.jpg")
    Traceback (most recent call last):
    ...
    jml.errors.UserError: `path`: 'images.jpg' ends in neither .parquet nor .npy; ...
    """
    path = check_path("read_embeddings", "path", path)
    read_as = format_of(path)
    if path.is_dir():
        tables = _heads(path)
        embeddings = read_tables(tables, _rows_of(path, tables))
    else:
        embeddings = read_tables([read_as.head(path)])
    if not embeddings.paths:
        raise UserError(f"{quoted(path)} has no rows; embed images that can be read.")
    return embeddings


def _heads(folder: Path) -> list[Table]:
    try:
        names = sorted(name for name in os.listdir(folder) if is_part(name))
    except OSError as error:
        raise UserError(f"cannot list {quoted(folder)}: {error.strerror}.") from None
    if not names:
        raise UserError(
            f"{quoted(folder)} holds no .parquet file; write them with jml embed."
        )
    heads = [FORMATS[".parquet"].head(folder / name) for name in names]
    _check_alike(heads)
    return heads


def is_part(name: str) -> bool:
    """Whether a file in a folder of parts is one."""
    return name.endswith(".parquet") and not name.startswith((".", "_"))


def _check_alike(tables: Sequence[Table]) -> None:
    """Raises a UserError unless the files are of one model, and of one collection."""
    first = tables[0]
    for table in tables[1:]:
        what = difference(first.model, table.model)
        if what is None and first.columns != table.columns:
            what = "number of columns"
        if what is None and _collection(first.part) != _collection(table.part):
            what = "collection of images"
        if what is not None:
            raise UserError(
                f"{quoted(first.path)} and {quoted(table.path)} differ in their {what};"
                " remove those of another model or another list, or embed anew with"
                " --overwrite."
            )


def _collection(part: Part | None) -> Any:
    return part and (part.images, part.shards, part.size, part.listing)


def _rows_of(folder: Path, tables: Sequence[Table]) -> list[np.ndarray] | None:
    """The rows of each file in the order of the collection; None: as they come."""
    parts = []
    for table in tables:
        if table.part is None:
            return None
        _check_part(table, table.part)
        parts.append(table.part)
    missing = what_is_missing(parts)
    if missing is not None:
        raise UserError(
            f"{quoted(folder)}: {missing}; run jml embed with the --shard of each, or"
            " wait for its end."
        )
    rows = [np.array(part.readable(), np.int64) for part in parts]
    places = np.argsort(np.concatenate(rows))
    order = np.empty_like(places)
    order[places] = np.arange(len(places))
    return np.split(order, np.cumsum([len(each) for each in rows])[:-1])


def _check_part(table: Table, part: Part) -> None:
    if table.path.name != part.file_name():
        raise UserError(
            f"{quoted(table.path)} is the part {part.file_name()}; it was renamed:"
            " remove it, or give it back its name."
        )
    images = part.images_there()
    if images != table.rows:
        raise UserError(
            f"{quoted(table.path)} has {table.rows:,} rows for {images:,} images;"
            " remove it, and run jml embed with its --shard again."
        )


def read_tables(
    tables: Sequence[Table], order: list[np.ndarray] | None = None
) -> Embeddings:
    """Reads files one after the other; the rows of each go where `order` says."""
    total, columns = sum(table.rows for table in tables), tables[0].columns
    try:
        vectors = np.empty((total, columns), np.float32)
        paths: list[Any] = [None] * total
        labels: list[Any] = [None] * total
    except (MemoryError, OverflowError, ValueError):
        raise UserError(
            f"{quoted(tables[0].path)}: {total:,} vectors of {columns:,} numbers do not"
            " fit into memory."
        ) from None
    at = 0
    for number, table in enumerate(tables):
        rows = slice(at, at + table.rows) if order is None else order[number]
        piece = vectors[rows]  # a view of a slice; of other rows, a copy
        of_paths, of_labels = format_of(table.path).read_rows(table, piece)
        vectors[rows] = piece
        every = range(total)[rows] if isinstance(rows, slice) else rows.tolist()
        for row, path, label in zip(every, of_paths, of_labels, strict=True):
            paths[row], labels[row] = path, label
        at += table.rows
    return Embeddings(vectors, paths, known(labels), tables[0].model)
