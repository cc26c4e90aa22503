"""Embeddings from disk: from one file, from a folder of parts, from a .npy file."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from jml._names import quoted
from jml._value_checks import check_path
from jml.errors import UserError
from jml.inference._embeddings import Embeddings

from ._metadata import difference
from ._npy import read_npy
from ._parquet import Table, known, opened, read_rows
from ._part import Part, what_is_missing

SUFFIXES = (".parquet", ".npy")


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
    jml.errors.UserError: 'images.jpg' is neither .parquet nor .npy; pass what ...
    """
    path = check_path("read_embeddings", "path", path)
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"{quoted(path)} is neither .parquet nor .npy; pass what jml embed wrote."
        )
    if path.suffix.lower() == ".npy":
        embeddings = read_npy(path)
    elif path.is_dir():
        embeddings = _read_folder(path)
    else:
        with opened(path) as table:
            embeddings = _read_tables([table], None)
    if not embeddings.paths:
        raise UserError(f"{quoted(path)} has no rows; embed images that can be read.")
    return embeddings


def _read_folder(folder: Path) -> Embeddings:
    try:
        names = sorted(name for name in os.listdir(folder) if is_part(name))
    except OSError as error:
        raise UserError(f"cannot list {quoted(folder)}: {error.strerror}.") from None
    if not names:
        raise UserError(
            f"{quoted(folder)} holds no .parquet file; write them with jml embed."
        )
    heads = []
    for name in names:  # one at a time: there may be more than can be open at once
        with opened(folder / name) as table:
            heads.append(table._replace(file=None))
    _check_alike(heads)
    return _read_tables(heads, _rows_of(folder, heads))


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
        if table.path.name != table.part.file_name():
            raise UserError(
                f"{quoted(table.path)} is the part {table.part.file_name()}; it was"
                " renamed: remove it, or give it back its name."
            )
        if len(table.part.readable()) != table.rows:
            raise UserError(
                f"{quoted(table.path)} has {table.rows:,} rows for"
                f" {len(table.part.readable()):,} images; remove it, and run jml embed"
                " with its --shard again."
            )
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


def _read_tables(tables: Sequence[Table], order: list[np.ndarray] | None) -> Embeddings:
    total = sum(table.rows for table in tables)
    try:
        vectors = np.empty((total, tables[0].columns), np.float32)
        paths: list[Any] = [None] * total
        labels: list[Any] = [None] * total
    except (MemoryError, OverflowError, ValueError):
        raise UserError(
            f"{quoted(tables[0].path)}: {total:,} vectors of {tables[0].columns:,}"
            " numbers do not fit into memory."
        ) from None
    at = 0
    for number, table in enumerate(tables):
        rows = slice(at, at + table.rows) if order is None else order[number]
        piece = vectors[rows]  # a view of a slice; of other rows, a copy
        with ExitStack() as stack:
            if table.file is None:
                table = stack.enter_context(opened(table.path))
            of_paths, of_labels = read_rows(table, piece)
        vectors[rows] = piece
        every = range(total)[rows] if isinstance(rows, slice) else rows.tolist()
        for row, path, label in zip(every, of_paths, of_labels, strict=True):
            paths[row], labels[row] = path, label
        at += table.rows
    return Embeddings(vectors, paths, known(labels), tables[0].model)
