"""Embeddings from memory to disk."""

import os
from pathlib import Path

import numpy as np

from jml._checks import check_array
from jml._names import quoted
from jml._value_checks import check_path, check_type
from jml._whole_files import writing
from jml.errors import UserError
from jml.inference._embeddings import Embeddings

from ._formats import format_of
from ._table import Contents

_NAME = "write_embeddings"


def write_embeddings(
    path: str | os.PathLike, embeddings: Embeddings, *, overwrite: bool = False
) -> Path:
    r"""Writes embeddings for ``read_embeddings``, and for any reader of parquet.

    The columns are path and label (strings; a label that is not known is null) and
    embedding (``fixed_size_list<float>[D]``). The schema's metadata has `model` as JSON
    under the key ``jml``. A byte of a name that is not UTF-8 stands in the columns as
    NUL and the four digits of Python's surrogate for it, ``\0dce9`` for the byte E9.

    Args:
        path: X.parquet, or X.npy, beside which X.csv has the paths and the labels, and
            X.json the rest.
        embeddings: what is written.
        overwrite: replace an earlier file.

    Returns:
        The path. The file is whole at any moment: what is being written has another
        name.

    Raises:
        UserError: it cannot be written, or is there already.
        ValueError: the fields of `embeddings` do not fit each other.
    """
    path = check_path(_NAME, "path", path)
    check_type(_NAME, "embeddings", embeddings, Embeddings, "an `Embeddings`")
    check_array(_NAME, "vectors", embeddings.vectors, shape="[n, D]", ndim=2)
    check_fit(_NAME, embeddings)
    written_as = format_of(path)
    if not overwrite and written_as.is_there(path):
        raise UserError(
            f"`path`: {quoted(path)} exists; choose another, or pass `overwrite=True`."
        )
    rows, columns = embeddings.vectors.shape
    with writing(path, "`path`"):
        written_as.write(path, Contents([embeddings], rows, columns, embeddings.model))
    return path


def check_fit(name: str, embeddings: Embeddings) -> None:
    """Raises ValueError unless there is a path and a label for each vector."""
    vectors, paths, labels, _ = embeddings
    if np.dtype(vectors.dtype) != np.float32 or not vectors.shape[1]:
        raise ValueError(f"{name}: `vectors` must be float32 [n, D], with D above 0")
    if len(paths) != len(vectors) or (labels and len(labels) != len(paths)):
        raise ValueError(
            f"{name}: `paths` and `labels` must have one for each of"
            f" {len(vectors)} vectors, got {len(paths)} and {len(labels or [])}"
        )
