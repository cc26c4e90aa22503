"""The items that may be among the nearest, as far as products can tell."""

import numpy as np
from jaxtyping import Bool, Float
from jaxtyping import Integer as Int

from ._chunks import Block, Tile
from ._excluded import Excluded
from ._keys import ordered_bits
from ._reach import Errors, reach

EXTRA = 32  # candidates beyond k that there is room for


class Candidates:
    """The candidates of a block of queries, gathered tile by tile.

    A candidate's square is within reach of the k-th smallest so far. Where more are
    within reach than there is room for, the smallest stay, and the query is undecided
    unless the others turn out to be beyond reach.
    """

    def __init__(
        self, block: Block, excluded: Excluded, left_out: int, k: int, errors: Errors
    ) -> None:
        """There are no candidates yet; each query leaves out at most `left_out`."""
        self.block, self.excluded, self.errors, self.k = block, excluded, errors, k
        self.room = k + EXTRA
        # Among so many groups or items, k are not left out.
        self.enough, self.most = k + left_out, self.room + left_out
        count = len(block.queries)
        dtype = np.dtype(block.x.dtype)
        self.kth = np.full(count, np.inf, dtype)
        self.lost = np.full(count, np.inf, dtype)  # the smallest without room
        self.row, self.item = np.empty(0, np.int64), np.empty(0, np.int64)
        self.squares = np.empty(0, dtype)
        self.new: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.largest = 0.0

    def add(self, tile: Tile) -> None:
        """Adds a tile's candidates."""
        self.largest = tile.largest
        # All that is lost is at least `lost`, so what is not below it may be, too.
        limit = np.minimum(self._reach(self.kth), np.nextafter(self.lost, -np.inf))
        chosen = tile.minima <= limit[:, None]
        row, group = _nonzero(chosen)
        many = np.flatnonzero(np.bincount(row, minlength=len(limit)) > self.enough)
        if len(many):
            chosen[many] = self._fewer(tile.minima[many], limit, many)
            row, group = _nonzero(chosen)
        values = tile.squares(row, group)
        pair, place = _nonzero(values <= limit[row, None])
        row, groups = row[pair], tile.minima.shape[1]
        item = place * groups + group[pair] + tile.start
        inside = ~self.excluded.pairs(self.block.queries[row], item)
        self.new.append((row[inside], item[inside], values[pair, place][inside]))
        if sum(len(part[0]) for part in self.new) * 2 > len(self.kth) * self.k:
            self._merge()

    def finish(self) -> tuple[np.ndarray, np.ndarray, Bool[np.ndarray, " q"]]:
        """Candidates as a row of the block and an item, and which rows are decided.

        Only decided rows have candidates, at least k each; rows ascend.
        """
        self._merge()
        limit = self._reach(self.kth)
        decided = self.lost > limit
        inside = decided[self.row] & (self.squares <= limit[self.row])
        return self.row[inside], self.item[inside], decided

    def _reach(
        self, squares: Float[np.ndarray, " k"], at: np.ndarray | slice = slice(None)
    ) -> Float[np.ndarray, " k"]:
        """``reach`` for these rows, rounded up; finite, as items left out are not."""
        limit = reach(
            squares.astype(np.float64), self.block.base[at], self.largest, self.errors
        )
        most = np.nextafter(np.finfo(squares.dtype).max, 0, dtype=squares.dtype)
        return np.nextafter(np.minimum(limit, most).astype(squares.dtype), np.inf)

    def _fewer(
        self,
        minima: Float[np.ndarray, "k g"],
        limit: Float[np.ndarray, " q"],
        rows: Int[np.ndarray, " k"],
    ) -> Bool[np.ndarray, "k g"]:
        """Chooses groups of these rows again, and lowers their limits in place."""
        if self.enough <= minima.shape[1]:
            nth = np.partition(minima, self.enough - 1, axis=1)[:, self.enough - 1]
            limit[rows] = np.minimum(limit[rows], self._reach(nth, rows))
        chosen = minima <= limit[rows, None]
        flood = np.flatnonzero(np.count_nonzero(chosen, axis=1) > self.most)
        if len(flood):
            some = np.argpartition(minima[flood], self.most - 1, axis=1)
            some = some[:, : self.most]
            chosen[flood] = False
            chosen[flood[:, None], some] = True
            last = np.take_along_axis(minima[flood], some, axis=1).max(axis=1)
            at = rows[flood]
            limit[at] = last
            self.lost[at] = np.minimum(self.lost[at], last)
        return chosen

    def _merge(self) -> None:
        """Sorts the candidates of each row, and drops those beyond reach or room."""
        parts = zip((self.row, self.item, self.squares), *self.new, strict=True)
        row, item, squares = (np.concatenate(part) for part in parts)
        self.new = []
        order = _order(row, squares)
        row, item, squares = row[order], item[order], squares[order]
        counts = np.bincount(row, minlength=len(self.kth))
        starts = np.cumsum(counts) - counts
        for nth, of_rows in ((self.k - 1, self.kth), (self.room, self.lost)):
            there = counts > nth
            value = squares[starts[there] + nth]
            of_rows[there] = np.minimum(of_rows[there], value)
        rank = np.arange(len(row)) - starts[row]
        stay = (rank < self.room) & (squares <= self._reach(self.kth)[row])
        self.row, self.item, self.squares = row[stay], item[stay], squares[stay]


def _nonzero(
    chosen: Bool[np.ndarray, "r c"],
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Rows and columns where this is true, in a fifth of NumPy's time."""
    row, column = np.divmod(np.flatnonzero(chosen), chosen.shape[1])
    return row, column


def _order(
    row: Int[np.ndarray, " k"], squares: Float[np.ndarray, " k"]
) -> Int[np.ndarray, " k"]:
    """Sorts by row, then by square."""
    if squares.dtype == np.float64:
        return np.lexsort((squares, row))
    return np.argsort((row << 32) + ordered_bits(squares))
