"""The genuine pairs: few as a rule, and then stored; else computed once more."""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

from ._items import Items, genuine_pairs
from ._segments import Segment, compacted, make_segment

STORED = 10**7  # most genuine pairs whose distances are kept
CHUNK = 2**20  # genuine pairs at a time

Chunk = tuple[np.ndarray, np.ndarray]  # classes and distances, these ascending


class Genuine:
    """All genuine pairs: their exact distances, and the class of each."""

    def __init__(
        self, chunks: Callable[[], Iterator[Chunk]], counts: Int[np.ndarray, " c"]
    ) -> None:
        """Keeps what makes the distances, and how many each class has."""
        self._chunks = chunks
        self.class_counts = counts
        self.count = int(counts.sum())

    def at_most(self, values: Float[np.ndarray, " v"]) -> Int[np.ndarray, " v"]:
        """How many pairs are at most at each of these distances."""
        counts = np.zeros(len(values), np.int64)
        for _, distances in self._chunks():
            counts += np.searchsorted(distances, values, side="right")
        return counts

    def below(
        self, limits: Float[np.ndarray, " f"]
    ) -> tuple[Int[np.ndarray, "c f"], Float[np.ndarray, " f"]]:
        """How many pairs of each class are below each limit, and the largest of all."""
        counts = np.zeros((len(self.class_counts), len(limits)), np.int64)
        largest = np.full(len(limits), -np.inf)
        for classes, distances in self._chunks():
            for f, end in enumerate(np.searchsorted(distances, limits)):
                counts[:, f] += np.bincount(classes[:end], minlength=len(counts))
                if end:
                    largest[f] = max(largest[f], distances[end - 1])
        return counts, largest

    def between(self, low: float, high: float) -> Segment:
        """The distances from `low` to `high`."""
        below, values, times = 0, np.empty(0), np.empty(0, np.int64)
        for _, distances in self._chunks():
            start = int(np.searchsorted(distances, low))
            end = int(np.searchsorted(distances, high, side="right"))
            below += start
            values = np.concatenate([values, distances[start:end]])
            times = np.concatenate([times, np.ones(end - start, np.int64)])
            values, times = compacted(values, times)
        return make_segment(values, times, below)


def compute_genuine(items: Items) -> Genuine:
    """The genuine pairs of these items, from differences in float64."""
    counts = np.zeros(int(items.classes.max()) + 1, np.int64)
    for i, _ in genuine_pairs(items, CHUNK):
        counts += np.bincount(items.classes[i], minlength=len(counts))

    def chunks() -> Iterator[Chunk]:
        for i, j in genuine_pairs(items, CHUNK):
            distances = items.distances(items.squares(i, j))
            yield _in_order(items.classes[i], distances)

    if counts.sum() > STORED:
        return Genuine(chunks, counts)
    parts = zip(*chunks(), strict=True)
    joined = _in_order(*(np.concatenate(part) for part in parts))
    return Genuine(lambda: iter([joined]), counts)


def _in_order(classes: np.ndarray, distances: np.ndarray) -> Chunk:
    order = np.argsort(distances)
    return classes[order], distances[order]
