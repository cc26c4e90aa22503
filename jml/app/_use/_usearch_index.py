"""An index of usearch."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from jml._names import shown

METRICS = {"euclidean": "l2sq", "cosine": "cos"}


class UsearchIndex:
    """HNSW with the defaults of usearch, of vectors as they are, in float32."""

    def __init__(self, dim: int, metric: str, threads: int | None) -> None:
        """Makes an empty index."""
        from usearch.index import Index

        name = METRICS[metric]
        self._index = Index(ndim=dim, metric=name, dtype="f32")
        self._threads = threads or 0
        self._rows = np.empty(0, np.int64)
        made = self._index
        self.kind = (
            f"usearch HNSW, connectivity {made.connectivity}, expansion_add"
            f" {made.expansion_add}, expansion_search {made.expansion_search}"
        )
        distances = "squared distances" if name == "l2sq" else "distances, 1 - cosine"
        self.reading = f"its numbers are {distances}"

    def build(self, vectors: np.ndarray, rows: np.ndarray) -> None:
        """Adds these rows of the vectors."""
        self._rows = rows
        self._add(vectors, rows)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Rows of the vectors that it has; -1 where it finds none."""
        found: Any = self._index.search(queries, k, threads=self._threads)
        rows = np.atleast_2d(np.asarray(found.keys)).astype(np.int64)
        if len(queries) == 1:
            return np.pad(rows, [(0, 0), (0, k - rows.shape[1])], constant_values=-1)
        return np.where(np.arange(k) < np.asarray(found.counts)[:, None], rows, -1)

    def complete(self, vectors: np.ndarray) -> None:
        """Adds the other rows."""
        left = np.setdiff1d(np.arange(len(vectors)), self._rows)
        if len(left):
            self._add(vectors, left)

    def _add(self, vectors: np.ndarray, rows: np.ndarray) -> None:
        try:
            self._index.add(rows, vectors[rows], threads=self._threads)
        except RuntimeError as error:
            if "terminated" in str(error):  # what usearch makes of a signal
                raise KeyboardInterrupt from None
            raise

    def write(self, path: str) -> None:
        """Writes the file; an OSError says why it cannot."""
        if shown(path) != path:  # usearch takes names in UTF-8 alone
            Path(path).write_bytes(self._index.save() or b"")
            return
        with open(path, "wb"):  # or raises an error that says why
            pass
        try:
            self._index.save(path)
        except RuntimeError as error:
            free = shutil.disk_usage(os.path.dirname(path) or ".").free
            code = errno.EIO if free > 2**20 else errno.ENOSPC
            reason = str(error) if code == errno.EIO else os.strerror(code)
            raise OSError(code, reason, path) from None
