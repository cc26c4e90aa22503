"""One parquet file of embeddings: path, label, and a vector in each row."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Float32

from jml._names import quoted
from jml._optional import need
from jml.errors import UserError, reason_of
from jml.inference._embeddings import Embeddings

from ._metadata import KEY, decoded, encoded
from ._names_in_tables import from_table, to_table
from ._part import Part

COLUMNS = ("path", "label", "embedding")
GROUP = 2**24  # numbers of a row group, 64 MiB: what readers hold at once
BATCH = 2**20  # numbers that are copied at a time


class Table(NamedTuple):
    """An open parquet file of embeddings, of which only the end was read."""

    path: Path
    file: Any  # a pyarrow.parquet.ParquetFile
    rows: int
    columns: int  # numbers of a vector
    model: dict[str, Any]
    part: Part | None


@contextmanager
def opened(path: Path) -> Iterator[Table]:
    """Opens a file of embeddings.

    Raises:
        UserError: it cannot be read, or is of something else.
    """
    need(f"reading {quoted(path)}", "pyarrow")
    from pyarrow import parquet

    with _reported(path), open(path, "rb") as stream:
        with parquet.ParquetFile(stream, page_checksum_verification=True) as file:
            schema = file.schema_arrow
            columns = _vector_length(schema)
            model, part = decoded((schema.metadata or {}).get(KEY))
            yield Table(path, file, file.metadata.num_rows, columns, model, part)


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Within it, whatever is wrong with a file becomes one line with its path."""
    try:
        yield
    except UserError as error:
        if quoted(path) in str(error):
            raise
        raise UserError(
            f"{quoted(path)} is no file of embeddings: {error}; write it with jml"
            " embed."
        ) from None
    except Exception as error:  # the reader may raise anything where a file holds it
        raise UserError(
            f"cannot read {quoted(path)}: {reason_of(error)}; pass a whole file, as"
            " jml embed writes it."
        ) from None


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


def read_rows(
    table: Table, vectors: Float32[np.ndarray, "n d"]
) -> tuple[list[str], list[str | None]]:
    """Reads a file's vectors into an array, a piece at a time.

    Returns:
        The paths and the labels.
    """
    paths: list[str] = []
    labels: list[str | None] = []
    names: dict[str, str] = {}  # one string for all images of a class
    at = 0
    pieces = table.file.iter_batches(
        max(1, BATCH // table.columns), columns=list(COLUMNS)
    )
    with _reported(table.path):
        for piece in pieces:
            path, label, embedding = (piece.column(name) for name in COLUMNS)
            numbers = embedding.flatten()
            size = len(piece)
            if path.null_count or numbers.null_count + embedding.null_count:
                raise UserError("a row of it lacks its path or its vector")
            vectors[at : at + size] = numbers.to_numpy().reshape(size, table.columns)
            paths += map(from_table, path.to_pylist())
            for text in label.to_pylist():
                labels.append(
                    None if text is None else names.setdefault(text, from_table(text))
                )
            at += size
        if at != table.rows:
            raise UserError(f"it holds {at:,} rows where it says {table.rows:,}")
    return paths, labels


def known(labels: list[str | None]) -> list[str | None] | None:
    """The labels, or None where there are none."""
    return labels if any(label is not None for label in labels) else None


@contextmanager
def writing_table(
    path: str | os.PathLike,
    columns: int,
    model: Any,
    part: Part | None = None,
) -> Iterator[Callable[[Embeddings], None]]:
    """Writes a file of embeddings, piece by piece; whole, it is flushed to the disk.

    Args:
        path: of the file.
        columns: numbers of a vector.
        model: as `Embeddings` has it.
        part: of a collection, if it is not the whole.
    """
    need(f"writing {quoted(path)}", "pyarrow")
    import pyarrow as pa
    from pyarrow import parquet

    vector = pa.list_(pa.float32(), columns)
    fields = [("path", pa.string()), ("label", pa.string()), ("embedding", vector)]
    schema = pa.schema(fields, metadata={KEY: encoded(model, part)})

    def text(names: Sequence[str | None]) -> Any:
        return pa.array([None if n is None else to_table(n) for n in names], "string")

    with open(path, "wb") as file:
        # Numbers of a network neither repeat nor compress.
        compression = {"path": "snappy", "label": "snappy"}
        compression["embedding.list.element"] = "none"
        options: Any = {"compression": compression, "use_dictionary": ["label"]}
        options["write_page_checksum"] = True
        with parquet.ParquetWriter(file, schema, **options) as writer:

            def write(piece: Embeddings) -> None:
                vectors = np.ascontiguousarray(piece.vectors, np.float32)
                numbers = pa.array(vectors.reshape(-1))
                array = pa.FixedSizeListArray.from_arrays(numbers, type=vector)
                labels = piece.labels or [None] * len(piece.paths)
                arrays = [text(piece.paths), text(labels), array]
                table = pa.Table.from_arrays(arrays, schema=schema)
                writer.write_table(table, max(1, GROUP // columns))

            yield write
        flush(file)


def flush(file: BinaryIO) -> None:
    """Waits until a file is on the disk: what is renamed then is whole."""
    file.flush()
    os.fsync(file.fileno())
