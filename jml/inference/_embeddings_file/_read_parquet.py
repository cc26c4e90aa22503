"""One parquet file of embeddings: path, label, and a vector in each row; read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from jml._names import quoted
from jml._optional import need
from jml.errors import UserError, reason_of

from ._metadata import KEY, decoded
from ._names_in_tables import from_table
from ._table import Names, Table

COLUMNS = ("path", "label", "embedding")
BATCH = 2**20  # numbers that are copied at a time


def head(path: Path) -> Table:
    """What the end of a file says of it.

    Raises:
        UserError: it cannot be read, or is of something else.
    """
    with _opened(path) as file:
        schema = file.schema_arrow
        columns = _vector_length(schema)
        model, part = decoded((schema.metadata or {}).get(KEY))
        return Table(path, file.metadata.num_rows, columns, model, part)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A pyarrow.parquet.ParquetFile; whatever is wrong with it becomes one line."""
    need(f"reading {quoted(path)}", "pyarrow")
    from pyarrow import parquet

    try:
        with open(path, "rb") as stream:  # pyarrow opens names in UTF-8 alone
            with parquet.ParquetFile(stream, page_checksum_verification=True) as file:
                yield file
        return
    except UserError as error:
        problem = f"{quoted(path)} is no file of embeddings: {error}; write it with jml"
        problem += " embed."
    except Exception as error:  # the reader may raise anything where a file holds it
        reason = getattr(error, "strerror", None) or reason_of(error)
        problem = f"cannot read {quoted(path)}: {reason}; pass a whole file,"
        problem += " as jml embed writes it."
    raise UserError(problem)


def _vector_length(schema: Any) -> int:
    import pyarrow as pa

    missing = [name for name in COLUMNS if name not in schema.names]
    if missing:
        raise UserError(f"it has no column {' and no '.join(missing)}")
    for name in COLUMNS[:2]:
        kind = schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise UserError(f"its column {name} is {kind}, and no string")
    kind = schema.field("embedding").type
    fixed = pa.types.is_fixed_size_list(kind) and pa.types.is_float32(kind.value_type)
    if not fixed or kind.list_size < 1:
        raise UserError(
            f"its column embedding is {kind}, and no fixed_size_list of floats"
        )
    return kind.list_size


def read_rows(table: Table, vectors: Float32[np.ndarray, "n d"]) -> Names:
    """Reads a file's vectors into an array, a piece at a time."""
    paths: list[str] = []
    labels: list[str | None] = []
    names: dict[str, str] = {}  # one string for all images of a class
    at = 0
    with _opened(table.path) as file:
        if file.metadata.num_rows != table.rows:
            raise UserError("it was replaced while it was read")
        size = max(1, BATCH // table.columns)
        for piece in file.iter_batches(size, columns=list(COLUMNS)):
            path, label, embedding = (piece.column(name) for name in COLUMNS)
            numbers, rows = embedding.flatten(), len(piece)
            if path.null_count or numbers.null_count + embedding.null_count:
                raise UserError("a row of it lacks its path or its vector")
            vectors[at : at + rows] = numbers.to_numpy().reshape(rows, table.columns)
            paths += map(from_table, path.to_pylist())
            for text in label.to_pylist():
                name = text
                if text is not None:
                    name = names.setdefault(text, from_table(text))
                labels.append(name)
            at += rows
        if at != table.rows:
            raise UserError(f"it holds {at:,} rows where it says {table.rows:,}")
    return paths, labels
