"""Embeddings to disk: whole files, or parts of a folder."""

import os
from contextlib import suppress
from pathlib import Path

import numpy as np

from jml._checks import check_array
from jml._names import quoted
from jml._value_checks import check_path, check_type
from jml._whole_files import partial_of, writing
from jml.errors import UserError
from jml.inference._embeddings import Embeddings

from ._npy import exists, write_npy
from ._parquet import writing_table
from ._part import Part
from ._read import SUFFIXES

_NAME = "write_embeddings"


def write_embeddings(
    path: str | os.PathLike,
    embeddings: Embeddings,
    *,
    part: Part | None = None,
    overwrite: bool = False,
) -> Path:
    r"""Writes embeddings for ``read_embeddings``, and for any reader of parquet.

    The columns are path and label (strings; a label that is not known is null) and
    embedding (``fixed_size_list<float>[D]``). The schema's metadata has `model` as JSON
    under the key ``jml``. A byte of a name that is not UTF-8 stands in the columns as
    NUL and the four digits of Python's surrogate for it, ``\0dce9`` for the byte E9.

    Args:
        path: X.parquet, or X.npy, beside which X.csv has the paths and the labels, and
            X.json the rest. With a `part` it is the folder that the part goes into.
        embeddings: what is written.
        part: which images of a collection these are, without those that cannot be read;
            the file's name says it, too.
        overwrite: replace an earlier file.

    Returns:
        The path of the file. It is whole at any moment: a file that is being written
        has another name.

    Raises:
        UserError: it cannot be written, or is there already.
        ValueError: `embeddings` or `part` do not fit.
    """
    path = check_path(_NAME, "path", path)
    check_type(_NAME, "embeddings", embeddings, Embeddings, "an `Embeddings`")
    check_array(_NAME, "vectors", embeddings.vectors, shape="[n, D]", ndim=2)
    _check_lengths(embeddings, part)
    if path.suffix.lower() not in SUFFIXES[: 1 if part else 2]:
        raise UserError(
            f"`path`: {quoted(path)} is neither .parquet nor .npy; pass such a name."
            if part is None
            else f"`path`: {quoted(path)} must end in .parquet for parts."
        )
    if part is not None:
        with writing(path, "`path`"):
            path.mkdir(parents=True, exist_ok=True)
        path = path / part.file_name()
    npy = path.suffix.lower() == ".npy"
    if not overwrite and (exists(path) if npy else os.path.lexists(path)):
        raise UserError(
            f"`path`: {quoted(path)} exists; choose another, or pass `overwrite=True`."
        )
    with writing(path, "`path`"):
        if npy:
            write_npy(path, embeddings)
        else:
            _write_parquet(path, embeddings, part)
    return path


def _write_parquet(path: Path, embeddings: Embeddings, part: Part | None) -> None:
    columns = embeddings.vectors.shape[1]
    partial = partial_of(path)
    try:
        with writing_table(partial, columns, embeddings.model, part) as write:
            write(embeddings)
        os.replace(partial, path)
    finally:
        with suppress(OSError):  # an error of the writer matters more
            partial.unlink()


def _check_lengths(embeddings: Embeddings, part: Part | None) -> None:
    vectors, paths, labels, _ = embeddings
    if np.dtype(vectors.dtype) != np.float32 or not vectors.shape[1]:
        raise ValueError(f"{_NAME}: `vectors` must be float32 [n, D], with D above 0")
    if len(paths) != len(vectors) or (labels and len(labels) != len(paths)):
        raise ValueError(
            f"{_NAME}: `paths` and `labels` must have one for each of"
            f" {len(vectors)} vectors, got {len(paths)} and {len(labels or [])}"
        )
    if part is not None:
        part.check()
        if len(part.readable()) != len(paths):
            raise ValueError(
                f"{_NAME}: `part` is of {len(part.readable())} images that can be read,"
                f" got {len(paths)} vectors"
            )
