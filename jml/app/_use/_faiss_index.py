"""An index of faiss."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from jml._names import quoted
from jml._output import write_err
from jml.app._captured import captured_stderr
from jml.errors import UserError

CONSTRUCTION, SEARCH = 100, 64  # candidates that HNSW looks at to add, and to search
# Graphs whose entries can be put in another order.
GRAPHS = ("IndexHNSWFlat", "IndexHNSWPQ", "IndexHNSWSQ")


class FaissIndex:
    """What `faiss.index_factory` makes. Of cosines it holds vectors of length 1."""

    def __init__(
        self,
        dim: int,
        metric: str,
        factory: str,
        parameters: str | None,
        threads: int | None,
    ) -> None:
        """Makes an empty index.

        Raises:
            UserError: faiss does not know the factory or a parameter.
        """
        import faiss

        if threads is not None:
            faiss.omp_set_num_threads(threads)
        self._cosine, self._parameters = metric == "cosine", parameters
        self._factory, self._rows = factory, np.empty(0, np.int64)
        kind = faiss.METRIC_INNER_PRODUCT if self._cosine else faiss.METRIC_L2
        with self._named("--factory", factory):
            self._index = faiss.index_factory(dim, factory, kind)
        self.kind = f"faiss {factory}"
        if isinstance(self._index, faiss.IndexHNSW):
            self._index.hnsw.efConstruction = CONSTRUCTION
            self._index.hnsw.efSearch = SEARCH
            self.kind += f", efConstruction={CONSTRUCTION}"
            parameters = parameters or f"efSearch={SEARCH}"
        if parameters is not None:
            self.kind += f", {parameters}"
        self.reading = "its numbers are squared distances"
        if self._cosine:
            self.reading = (
                "its numbers are inner products, 1 - distance, as its vectors are"
                " divided by their length; divide a query likewise"
            )

    def build(self, vectors: np.ndarray, rows: np.ndarray) -> None:
        """Trains it, if need be, and adds these rows of the vectors."""
        import faiss

        self._rows, some = rows, self._prepared(vectors[rows])
        with self._named("--factory", self._factory):
            warnings = captured_stderr(lambda: self._index.train(some))
            self._index.add(some)
        for line in dict.fromkeys(warnings.splitlines()):  # one a list, or a code
            write_err(f"faiss: {line}")
        if self._parameters is not None:
            with self._named("--parameters", self._parameters):
                space = faiss.ParameterSpace()
                space.set_index_parameters(self._index, self._parameters)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Rows of the vectors that it has; -1 where it finds none."""
        flag = "--factory" if self._parameters is None else "--parameters"
        with self._named(flag, self._parameters or self._factory):
            places = self._index.search(self._prepared(queries), k)[1]
        return np.where(places < 0, -1, self._rows[places])

    def complete(self, vectors: np.ndarray) -> None:
        """Adds the other rows; afterwards the ids are the rows.

        The vectors may be changed: nobody needs them afterwards.
        """
        left = np.setdiff1d(np.arange(len(vectors)), self._rows)
        with self._named("--factory", self._factory):
            if type(self._index).__name__ in GRAPHS:  # slow to build, so not again
                self._index.add(self._prepared(vectors[left]))
                order = np.concatenate([self._rows, left])
                self._index.permute_entries(np.argsort(order))
            else:  # its training stays
                self._index.reset()
                self._index.add(self._prepared(vectors))

    def write(self, path: str) -> None:
        """Writes the file; an OSError says why it cannot."""
        import faiss

        library: Any = faiss  # whose declarations lack this class
        with open(path, "wb") as file:
            writer = library.PyCallbackIOWriter(file.write, 1 << 20)
            faiss.write_index(self._index, writer)

    def _prepared(self, vectors: np.ndarray) -> np.ndarray:
        """The vectors, for cosines divided by their length: in place."""
        import faiss

        if self._cosine:
            faiss.normalize_L2(vectors)
        return vectors

    @contextmanager
    def _named(self, flag: str, value: str | None) -> Iterator[None]:
        """Makes one line, about a flag, of an error of faiss."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            raise UserError(
                f"{flag}: faiss refuses {quoted(value)}: {_reason(error)}; pass"
                " another."
            ) from None


def _reason(error: Exception) -> str:
    """What faiss says, without the place in its source."""
    text = " ".join(str(error).split()) or type(error).__name__
    text = re.sub(r"^Error in .*?\.cpp:\d+: ", "", text)
    return re.sub(r"^Error: '.*?' failed: ?(?=\S)", "", text).rstrip(" .")[:200]
