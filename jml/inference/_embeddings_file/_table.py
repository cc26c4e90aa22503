"""What a file of embeddings says of itself, and how its formats are called."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from jml.inference._embeddings import Embeddings

from ._part import Part

Names = tuple[list[str], list[str | None]]  # paths and labels


class Table(NamedTuple):
    """What was read of a file before its rows."""

    path: Path
    rows: int
    columns: int  # numbers of a vector
    model: dict[str, Any]
    part: Part | None


class Contents(NamedTuple):
    """What a file is to hold; its rows come in pieces, which need not fit into memory.

    The `model` of the pieces is not looked at.
    """

    pieces: Iterable[Embeddings]
    rows: int
    columns: int
    model: Any
    part: Part | None = None


class Format(NamedTuple):
    """How files of a suffix are read and written."""

    head: Callable[[Path], Table]
    read_rows: Callable[[Table, Float32[np.ndarray, "n d"]], Names]
    write: Callable[[Path, Contents], None]
    is_there: Callable[[Path], bool]  # whether writing would replace something
    is_whole: Callable[[Path], bool]  # whether a file was written to its end


def known(labels: list[str | None]) -> list[str | None] | None:
    """The labels, or None where there are none."""
    return labels if any(label is not None for label in labels) else None
