"""Vectors of which each process holds its part of the gallery.

Whatever decides how distances are computed is agreed on by all processes: the scale,
the centre, the bounds of errors. So a distance has the same bits in all of them, and
the same as in one process that holds the whole gallery.
"""

from copy import copy
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

from ._lengths import lengths
from ._processes import combine, gather
from ._products import Products, error_bounds
from ._vectors import Vectors


class SpreadVectors(Vectors):
    """Queries and a part of the gallery.

    `y` has the rows of this process; the parts follow each other in the order of the
    processes. Where the queries are the gallery, `x` is this part, too. Otherwise `x`
    has all queries, in every process.
    """

    def __init__(
        self, x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "m d"], metric: str
    ) -> None:
        """Agrees with the other processes on the scale; `y` may be `x` itself."""
        lengths = [length.item() for length in gather(np.array(len(y)))]
        self.starts = np.cumsum([0, *lengths])
        wide = combine(np.logical_or, np.array(y.dtype == np.float64))
        part = y.astype(np.float64 if wide else np.float32, copy=False)
        self.kept: dict[Any, Any] = {}  # what all batches of queries share
        super().__init__(part if x is y else x, part, metric)
        _ = self.centre  # agreed on before there are batches

    @property
    def sizes(self) -> tuple[int, int]:
        """How many queries and gallery items there are, in all processes."""
        items = int(self.starts[-1])
        return items if self.x is self.y else len(self.x), items

    @property
    def start(self) -> int:
        """The index in the gallery of the first row of `y`."""
        return int(self.starts[jax.process_index()])

    def combined(self, function: np.ufunc, array: np.ndarray) -> np.ndarray:
        """An array over all processes."""
        return combine(function, array)

    def exact_keys_of_all(
        self, queries: Int[np.ndarray, " k"], items: Int[np.ndarray, " k"]
    ) -> Int[np.ndarray, " k"]:
        """``exact_keys``, of items that other processes may hold, too."""
        here = (items >= 0) & (items < len(self.y))
        keys = np.full(len(items), np.iinfo(np.int64).min)
        keys[here] = self.exact_keys(queries[here], items[here])
        return self.combined(np.maximum, keys)

    def sample(self, part: int) -> Float[np.ndarray, "s d"]:
        """Every so many rows of a part: at most 128."""
        if part == 0 and self.x is not self.y:
            return super().sample(part)
        step = int(self.starts[-1]) // 128 + 1
        rows = self.rows(part, slice(-self.start % step, None, step))
        return np.concatenate(gather(rows))

    @cached_property
    def representatives(self) -> Int[np.ndarray, " m"]:
        """For each item of the part the first item that equals it."""
        if "representatives" not in self.kept:
            self.kept["representatives"] = super().representatives
        return self.kept["representatives"]

    def queries(self) -> Float[np.ndarray, "n d"]:
        """All queries, scaled, in their dtype: this alone needs memory for them."""
        own = super().queries()
        return np.concatenate(gather(own)) if self.x is self.y else own

    def of_queries(self, queries: Int[np.ndarray, " q"]) -> "SpreadVectors":
        """These queries alone, and the part of the gallery."""
        batch = copy(self)
        batch.x = self._rows_of(queries) if self.x is self.y else self.x[queries]
        batch.parts = [batch.x, self.y]
        if self.metric == "cosine":
            exponents, norms = lengths(batch.x)
            batch.exponents = [exponents, self.exponents[-1]]
            batch.norms = [norms, self.norms[-1]]
        return batch

    def products(self, dtype: np.dtype) -> Products:
        """Prepares matrix products in this dtype, and bounds their errors."""
        if dtype not in self.kept:
            y, squares = self.side(-1, dtype)
            largest = self.combined(np.maximum, np.array(squares.max(initial=0)))
            self.kept[dtype] = y, squares.astype(dtype), float(largest)
        y, offsets, largest = self.kept[dtype]
        x, base = self.side(0, dtype)
        bounds = error_bounds(base, largest, self.x.shape[1], dtype, self.dtype)
        return Products(x, y, offsets, base, *bounds)

    def _rows_of(self, items: Int[np.ndarray, " q"]) -> Float[np.ndarray, "q d"]:
        """These rows of the whole gallery, from the processes that hold them."""
        own = items - self.start
        own = own[(own >= 0) & (own < len(self.y))]
        rows = np.empty((len(items), self.y.shape[1]), self.y.dtype)
        holder = np.searchsorted(self.starts, items, side="right") - 1
        for process, part in enumerate(gather(self.y[own])):
            rows[holder == process] = part
        return rows
