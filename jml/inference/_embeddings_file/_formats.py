"""The formats of files of embeddings, by their suffix."""

import os
from pathlib import Path

from jml._names import quoted
from jml.errors import UserError

from . import _npy, _read_parquet
from ._table import Format
from ._write_parquet import write_parquet

FORMATS = {
    ".parquet": Format(
        _read_parquet.head,
        _read_parquet.read_rows,
        write_parquet,
        os.path.lexists,
        os.path.exists,
    ),
    ".npy": Format(
        _npy.head,
        _npy.read_rows,
        _npy.write_npy,
        _npy.npy_is_there,
        _npy.npy_is_whole,
    ),
}


def format_of(path: Path) -> Format:
    """The format of a file; a UserError where its suffix is of none."""
    if path.suffix.lower() not in FORMATS:
        raise UserError(
            f"`path`: {quoted(path)} ends in neither .parquet nor .npy; pass the name"
            " of such a file."
        )
    return FORMATS[path.suffix.lower()]
