r"""The vectors that are compared: products for most pairs, differences for close ones.

With a centre $c$, the squared distance of a query and a gallery item is
$|x_i - c|^2 + |y_j - c|^2 - 2 (x_i - c) \cdot (y_j - c)$, so that one matrix product
makes all of them. Its rounding error grows with the squared norms. Products therefore
cannot order distances that are small beside the norms; for such pairs the squared
distance is computed from the difference of the two vectors.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

REACH = 20  # exponents up to which squares of float32 neither overflow nor vanish
CHUNK = 2**22  # numbers that exist at once where pairs are subtracted
# Relative difference below which products need not order two distances, by the size
# in bytes of the products' dtype.
TOLERANCE = {4: 1e-5, 8: 1e-7}


class Products(NamedTuple):
    """Centred rows for matrix products: d² = base_i + offsets_j - 2 x_i . y_j."""

    x: Float[np.ndarray, "n d"]
    y: Float[np.ndarray, "m d"]  # `x` itself where the queries are the gallery
    offsets: Float[np.ndarray, " m"]
    # In float64:
    base: Float[np.ndarray, " n"]
    close: Float[np.ndarray, " n"]  # products cannot order squared distances below it
    slack: Float[np.ndarray, " n"]  # bounds the error of those squared distances


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
                exponents = np.frexp(np.abs(part).max(axis=1, keepdims=True))[1]
                self.exponents.append(exponents)
                squares = [
                    np.einsum("ij,ij->i", scaled, scaled)
                    for scaled in _scaled_chunks(part, exponents)
                ]
                self.norms.append(np.sqrt(np.concatenate(squares))[:, None])
        else:
            largest = max(max(part.max(), -part.min()) for part in self.parts)
            exponent = int(np.frexp(largest)[1])
            # Scaling by a power of two is exact: no order changes, and ties stay ties.
            self.exponent = exponent if abs(exponent) > REACH else 0
        self.any_zeros = any((norms == 0).any() for norms in self.norms)

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
        step = max(1, CHUNK // self.x.shape[1])
        for at in range(0, len(queries), step):
            q, j = queries[at : at + step], items[at : at + step]
            difference = self.rows(-1, j) - self.rows(0, q)
            squares[at : at + step] = np.einsum("ij,ij->i", difference, difference)
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
        for at in _slices(len(queries), self.x.shape[1]):
            x, y = self.x[queries[at]], self.y[items[at]]
            with np.errstate(over="ignore"):  # distances beyond float64 are infinite
                difference = np.subtract(x, y, dtype=np.float64)
                # Squares of the smallest and the largest numbers would not be numbers.
                exponents = np.frexp(np.abs(difference).max(axis=1))[1]
                difference = np.ldexp(difference, -exponents[:, None])
                squares = np.einsum("ij,ij->i", difference, difference)
                distances[at] = np.ldexp(np.sqrt(squares), exponents)
        return distances

    def exact_keys(
        self, queries: Int[np.ndarray, " k"], items: Int[np.ndarray, " k"]
    ) -> Int[np.ndarray, " k"]:
        """Integers in the order of the distances of single pairs.

        They are rounded down to the precision of the vectors, because equal distances
        of float32 vectors may differ in the last digits of float64. Where there are
        many pairs, copies of one gallery item are compared once.
        """
        pairs, place = queries.astype(np.int64) * len(self.y) + items, None
        if len(pairs) * self.x.shape[1] > CHUNK:
            pairs += self.representatives[items] - items
            pairs, place = np.unique(pairs, return_inverse=True)
        squares = self.squared_distances(*np.divmod(pairs, len(self.y)))
        bits = squares.view(np.int64)
        bits = bits if self.dtype == np.float64 else bits >> 29
        return bits if place is None else bits[place]

    @cached_property
    def representatives(self) -> Int[np.ndarray, " m"]:
        """For each gallery item the first item that equals it."""
        rows = np.ascontiguousarray(self.y) + 0  # -0 and 0 are equal
        kind = np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))
        _, first, inverse = np.unique(
            rows.view(kind).ravel(), return_index=True, return_inverse=True
        )
        return first[inverse]

    @cached_property
    def centre(self) -> Float[np.ndarray, " d"]:
        """The median of each column, over a sample of the rows."""
        if self.any_zeros:  # rows of zeros must stay zero: all items tie to them
            return np.zeros(self.x.shape[1])
        # The median of an odd number of rows is one of the entries, without rounding.
        steps = [slice(None, None, len(part) // 128 + 1) for part in self.parts]
        sample = np.concatenate([self.rows(i, step) for i, step in enumerate(steps)])
        return np.median(sample[len(sample) % 2 == 0 :], axis=0).astype(self.x.dtype)

    def products(self, dtype: np.dtype) -> Products:
        """Prepares matrix products in this dtype, and bounds their errors."""
        dtype = np.dtype(dtype)
        parts = [self._centred(i, dtype) for i in range(len(self.parts))]
        squares = [np.einsum("ij,ij->i", p, p, dtype=np.float64) for p in parts]
        if self.any_zeros:
            squares = [np.ones(len(p)) for p in parts]
        x, y, base = parts[0], parts[-1], squares[0]
        close, slack = self._error_bounds(dtype, base, squares[-1].max())
        return Products(x, y, squares[-1].astype(dtype), base, close, slack)

    def _error_bounds(
        self, dtype: np.dtype, base: Float[np.ndarray, " n"], largest: float
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """`close` and `slack` of ``Products``, from the squared norms of the rows."""
        # About seven standard deviations of the error of a difference of two squared
        # distances, relative to the squared norms. `benchmarks/retrieval_precision.py`
        # measures it.
        eps = np.finfo(dtype).eps
        error = eps * (1 + 0.3 * self.x.shape[1] ** 0.5)
        tolerance = TOLERANCE[dtype.itemsize]
        if self.dtype == dtype == np.float64:
            tolerance = TOLERANCE[4] * eps / np.finfo(np.float32).eps
        ratio = error / tolerance
        # The norm of a near item is at most the query's norm plus their distance.
        close = ratio * (base + largest)
        if ratio < 1:
            relative = ratio + np.sqrt(ratio**2 + 2 * ratio * (1 - ratio))
            close = np.minimum(close, base * (relative / (1 - ratio)) ** 2)
        # Squares of the smallest numbers underflow.
        tiny = 2 * self.x.shape[1] * float(np.finfo(dtype).tiny)
        close = close + tiny / tolerance
        return close, 2 * tolerance * close

    def _centred(self, part: int, dtype: np.dtype) -> Float[np.ndarray, "n d"]:
        rows = self.parts[part]
        if self.metric == "euclidean" and rows.dtype == dtype:
            rows = np.ldexp(rows, -self.exponent) if self.exponent else rows
            return rows - self.centre.astype(dtype)
        centred = np.empty(rows.shape, dtype)
        for at in _slices(*rows.shape):
            centred[at] = self.rows(part, at) - self.centre
        return centred


def _slices(count: int, width: int) -> Iterator[slice]:
    step = max(1, CHUNK // width)
    yield from (slice(at, at + step) for at in range(0, count, step))


def _scaled_chunks(rows: np.ndarray, exponents: np.ndarray) -> Iterator[np.ndarray]:
    for at in _slices(*rows.shape):
        yield np.ldexp(rows[at].astype(np.float64), -exponents[at])
