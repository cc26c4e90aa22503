"""One parquet file of embeddings: path, label, and a vector in each row; written."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from jml._names import quoted
from jml._optional import need
from jml._whole_files import partial_of
from jml.inference._embeddings import Embeddings

from ._metadata import KEY, encoded
from ._names_in_tables import to_table
from ._table import Contents

GROUP = 2**24  # numbers of a row group, 64 MiB: what readers hold at once


def write_parquet(path: Path, contents: Contents) -> None:
    """Writes a file under another name, and gives it its own once it is on the disk."""
    need(f"writing {quoted(path)}", "pyarrow")
    # Of a part it is hidden: whoever reads the folder may take all that is not.
    hidden = path if contents.part is None else path.with_name(f".{path.name}")
    partial = partial_of(hidden)
    try:
        with _writer(partial, contents) as write:
            for piece in _groups(contents):
                write(piece)
        os.replace(partial, path)
    finally:
        with suppress(OSError):  # an error of the writer matters more
            partial.unlink()


def _groups(contents: Contents) -> Iterator[list[Embeddings]]:
    """The pieces, as many at a time as make a row group."""
    group: list[Embeddings] = []
    rows = 0
    for piece in contents.pieces:
        group.append(piece)
        rows += len(piece.paths)
        if rows * contents.columns >= GROUP:
            yield group
            group, rows = [], 0
    if group:
        yield group


@contextmanager
def _writer(
    path: Path, contents: Contents
) -> Iterator[Callable[[list[Embeddings]], None]]:
    import pyarrow as pa
    from pyarrow import parquet

    vector = pa.list_(pa.float32(), contents.columns)
    fields = [("path", pa.string()), ("label", pa.string()), ("embedding", vector)]
    metadata = {KEY: encoded(contents.model, contents.part)}
    schema = pa.schema(fields, metadata=metadata)

    def table_of(piece: Embeddings) -> Any:
        vectors = np.ascontiguousarray(piece.vectors, np.float32)
        numbers = pa.array(vectors.reshape(-1))
        array = pa.FixedSizeListArray.from_arrays(numbers, type=vector)
        labels = piece.labels or [None] * len(piece.paths)
        arrays = [_texts(piece.paths), _texts(labels), array]
        return pa.Table.from_arrays(arrays, schema=schema)

    # Numbers of a network neither repeat nor compress.
    compression = {"path": "snappy", "label": "snappy"}
    options: Any = {
        "compression": {**compression, "embedding.list.element": "none"},
        "use_dictionary": ["label"],
        "write_page_checksum": True,
    }
    with open(path, "wb") as file:
        with parquet.ParquetWriter(file, schema, **options) as writer:
            rows = max(1, GROUP // contents.columns)
            yield lambda pieces: writer.write_table(
                pa.concat_tables(map(table_of, pieces)), rows
            )
        flush(file)


def _texts(names: Sequence[str | None]) -> Any:
    import pyarrow as pa

    texts = [None if name is None else to_table(name) for name in names]
    return pa.array(texts, pa.string())


def flush(file: IO[Any]) -> None:
    """Waits until a file is on the disk: what is renamed then is whole."""
    file.flush()
    os.fsync(file.fileno())
