r"""The vectors that are compared: products for most pairs, differences for close ones.

With a centre $c$, the squared distance of a query and a gallery item is
$|x_i - c|^2 + |y_j - c|^2 - 2 (x_i - c) \cdot (y_j - c)$, so that one matrix product
makes all of them. Its rounding error grows with the squared norms. Products therefore
cannot order distances that are small beside the norms; for such pairs the squared
distance is computed from the difference of the two vectors.
"""

from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

from jml._blocks_of_rows import slices

from ._copies import first_copies
from ._lengths import CHUNK as CHUNK
from ._lengths import largest_number, lengths
from ._products import Products as Products
from ._products import error_bounds

REACH = 20  # exponents up to which squares of float32 neither overflow nor vanish


class Vectors:
    """Queries and gallery as the caller gave them, and the metric between them.

    For the cosine, vectors are divided by their lengths; the squared distance is then
    2 - 2 cos. With a row of zeros, the cosine is 0 and the squared distance 2.
    """

    def __init__(
        self,
        x: Float[np.ndarray, "n d"],
        y: Float[np.ndarray, "m d"],
        metric: str,
    ) -> None:
        """Computes norms and scale without copying the rows; `y` may be `x` itself."""
        self.x, self.y, self.metric = x, y, metric
        self.parts = [x] if y is x else [x, y]
        self.dtype = np.result_type(x, y)
        self.exponent = 0  # all rows are divided by 2 to this power
        self.exponents: list[np.ndarray] = []  # the same for each row, for the cosine
        self.norms: list[np.ndarray] = []
        if metric == "cosine":
            for part in self.parts:
                exponents, norms = lengths(part)
                self.exponents.append(exponents)
                self.norms.append(norms)
        else:
            largest = max(map(largest_number, self.parts))
            largest = self.combined(np.maximum, np.array(largest, np.float64))
            exponent = int(np.frexp(largest)[1])
            # Scaling by a power of two is exact: no order changes, and ties stay ties.
            self.exponent = exponent if abs(exponent) > REACH else 0
        any_zeros = any((norms == 0).any() for norms in self.norms)
        self.any_zeros = bool(self.combined(np.logical_or, np.array(any_zeros)))

    @property
    def sizes(self) -> tuple[int, int]:
        """How many queries and gallery items there are."""
        return len(self.x), len(self.y)

    @property
    def start(self) -> int:
        """The index in the gallery of the first row of `y`."""
        return 0

    def combined(self, function: np.ufunc, array: np.ndarray) -> np.ndarray:
        """An array over all processes, where they share the gallery."""
        return array

    def queries(self) -> Float[np.ndarray, "n d"]:
        """All queries, scaled, in their dtype."""
        return self.rows(0, slice(None)).astype(self.x.dtype)

    def rows(self, part: int, at: Int[np.ndarray, " k"] | slice) -> np.ndarray:
        """Scaled rows of the queries (part 0) or the gallery (part -1) in float64."""
        rows = self.parts[part][at].astype(np.float64)
        if self.metric == "euclidean":
            return np.ldexp(rows, -self.exponent) if self.exponent else rows
        norms, exponents = self.norms[part][at], self.exponents[part][at]
        return np.ldexp(rows, -exponents) / np.where(norms > 0, norms, 1)

    def squared_distances(
        self, queries: Int[np.ndarray, " k"], items: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, " k"]:
        """Squared distances of single pairs, from differences in float64."""
        squares = np.empty(len(queries))
        for at in slices(len(queries), self.x.shape[1]):
            difference = self.rows(-1, items[at]) - self.rows(0, queries[at])
            squares[at] = np.einsum("ij,ij->i", difference, difference)
        if self.any_zeros:
            zero = [(norms == 0)[:, 0] for norms in self.norms]
            squares[zero[0][queries] | zero[-1][items]] = 2
        return squares

    def distances(
        self, queries: Int[np.ndarray, " k"], items: Int[np.ndarray, " k"]
    ) -> Float[np.ndarray, " k"]:
        """Distances of single pairs in the caller's units: Euclidean, or 1 - cosine."""
        if self.metric == "cosine":
            return self.squared_distances(queries, items) / 2
        distances = np.empty(len(queries))
        for at in slices(len(queries), self.x.shape[1]):
            x, y = self.x[queries[at]], self.y[items[at]]
            with np.errstate(over="ignore"):  # distances beyond float64 are infinite
                difference = np.subtract(x, y, dtype=np.float64)
                # Squares of the smallest and the largest numbers would not be numbers.
                exponents = np.frexp(np.abs(difference).max(axis=1))[1]
                difference = np.ldexp(difference, -exponents[:, None])
                squares = np.einsum("ij,ij->i", difference, difference)
                distances[at] = np.ldexp(np.sqrt(squares), exponents)
        return distances

    def keys_of(self, squares: Float[np.ndarray, " k"]) -> Int[np.ndarray, " k"]:
        """Integers in the order of ``squared_distances``.

        They are rounded down to the precision of the vectors, because equal distances
        of float32 vectors may differ in the last digits of float64.
        """
        bits = squares.view(np.int64)
        return bits if self.dtype == np.float64 else bits >> 29

    def exact_keys(
        self, queries: Int[np.ndarray, " k"], items: Int[np.ndarray, " k"]
    ) -> Int[np.ndarray, " k"]:
        """``keys_of`` single pairs; of many, copies of an item are compared once."""
        pairs, place = queries.astype(np.int64) * len(self.y) + items, None
        if len(pairs) * self.x.shape[1] > CHUNK:
            pairs += self.representatives[items] - items
            pairs, place = np.unique(pairs, return_inverse=True)
        keys = self.keys_of(self.squared_distances(*np.divmod(pairs, len(self.y))))
        return keys if place is None else keys[place]

    def exact_keys_of_all(
        self, queries: Int[np.ndarray, " k"], items: Int[np.ndarray, " k"]
    ) -> Int[np.ndarray, " k"]:
        """``exact_keys``, of items that other processes may hold, too.

        Items are counted from the first of this process.
        """
        return self.exact_keys(queries, items)

    @cached_property
    def representatives(self) -> Int[np.ndarray, " m"]:
        """For each gallery item the first item that equals it."""
        return first_copies(self.y)

    @cached_property
    def centre(self) -> Float[np.ndarray, " d"]:
        """The median of each column, over a sample of the rows."""
        if self.any_zeros:  # rows of zeros must stay zero: all items tie to them
            return np.zeros(self.x.shape[1])
        # The median of an odd number of rows is one of the entries, without rounding.
        sample = np.concatenate([self.sample(i) for i in range(len(self.parts))])
        return np.median(sample[len(sample) % 2 == 0 :], axis=0).astype(self.x.dtype)

    def sample(self, part: int) -> Float[np.ndarray, "s d"]:
        """Every so many rows of a part: at most 128."""
        return self.rows(part, slice(None, None, len(self.parts[part]) // 128 + 1))

    def products(self, dtype: np.dtype) -> Products:
        """Prepares matrix products in this dtype, and bounds their errors."""
        x, base = self.side(0, dtype)
        y, squares = (x, base) if self.y is self.x else self.side(-1, dtype)
        width = self.x.shape[1]
        bounds = error_bounds(base, squares.max(), width, np.dtype(dtype), self.dtype)
        return Products(x, y, squares.astype(dtype), base, *bounds)

    def side(
        self, part: int, dtype: np.dtype
    ) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, " n"]]:
        """Centred rows of the queries or the gallery, and their squared norms."""
        rows = self.centred(part, slice(None), np.dtype(dtype))
        return rows, self.squared_norms(rows)

    def centred(
        self, part: int, at: np.ndarray | slice, dtype: np.dtype, out: Any = None
    ) -> Float[np.ndarray, "k d"]:
        """Scaled rows of the queries or the gallery, less the centre; in `out`."""
        rows = self.parts[part][at]
        centred = np.empty(rows.shape, dtype) if out is None else out
        if self.metric == "euclidean" and rows.dtype == dtype:
            rows = np.ldexp(rows, -self.exponent) if self.exponent else rows
            return np.subtract(rows, self.centre.astype(dtype), out=centred)
        size = len(self.parts[part])
        chosen = np.arange(*at.indices(size)) if isinstance(at, slice) else at
        for some in slices(len(rows), rows.shape[1]):
            centred[some] = self.rows(part, chosen[some]) - self.centre
        return centred

    def squared_norms(self, centred: Float[np.ndarray, "k d"]) -> np.ndarray:
        """Squared norms of centred rows in float64; for directions with zeros, ones."""
        if self.any_zeros:
            return np.ones(len(centred))
        return np.einsum("ij,ij->i", centred, centred, dtype=np.float64)
