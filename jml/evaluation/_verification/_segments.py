"""Distances in order: all of them, or those about a threshold and how many are less."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int


class Segment(NamedTuple):
    """Distinct distances of a range, ascending, and how many pairs are at most each."""

    offset: int  # how many pairs are below the range
    values: Float[np.ndarray, " k"]
    counts: Int[np.ndarray, " k"]  # pairs at most at each value, the offset included
    bounds: tuple[float, float]  # of the range

    def at_most(self, values: Float[np.ndarray, " v"]) -> Int[np.ndarray, " v"]:
        """How many pairs are at most at these distances, which lie in the range."""
        counts = np.concatenate([[self.offset], self.counts])
        return counts[np.searchsorted(self.values, values, side="right")]

    def limit(self, accepted: int) -> tuple[float, int, float | None]:
        """The least distance that must be rejected for so many to be accepted at most.

        Returns:
            That distance; how many pairs are below it; the largest distance below it,
            None if the range holds none.
        """
        at = int(np.searchsorted(self.counts, accepted, side="right"))
        below = self.offset if at == 0 else int(self.counts[at - 1])
        before = None if at == 0 else float(self.values[at - 1])
        return float(self.values[at]), below, before


def make_segment(
    distances: Float[np.ndarray, " k"],
    times: Int[np.ndarray, " k"] | None = None,
    offset: int = 0,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> Segment:
    """The segment of these distances, each of which may stand for several pairs."""
    if times is None:
        values, counts = np.unique(distances, return_counts=True)
    else:
        values, counts = compacted(distances, times)
    return Segment(offset, values, offset + np.cumsum(counts), bounds)


def compacted(
    values: Float[np.ndarray, " k"], times: Int[np.ndarray, " k"]
) -> tuple[Float[np.ndarray, " u"], Int[np.ndarray, " u"]]:
    """The distinct values, ascending, and how often each is there."""
    order = np.argsort(values)
    values, times = values[order], times[order]
    starts = np.flatnonzero(np.diff(values, prepend=-np.inf) > 0)
    if not len(starts):
        return values, times
    return values[starts], np.add.reduceat(times, starts)


def equal_error(
    values: Float[np.ndarray, " v"],
    impostors: Segment,
    impostor_count: int,
    genuine: Segment,
    genuine_count: int,
) -> tuple[float, float]:
    """The equal error rate, and the distance at which the curve reaches it.

    The curve is the polyline through the points (FAR, TAR) at each distinct distance.
    Both segments are of one range, in which it crosses the line FAR = 1 - TAR; `values`
    are the distances of either, ascending.
    """
    far = np.concatenate([[impostors.offset], impostors.at_most(values)])
    tar = np.concatenate([[genuine.offset], genuine.at_most(values)])
    far, tar = far / impostor_count, tar / genuine_count
    above = far + tar - 1
    at = min(int(np.searchsorted(above >= 0, True)), len(above) - 1)
    rise = above[at] - above[at - 1]
    share = -above[at - 1] / rise if rise > 0 else 0.0
    rate = far[at - 1] + share * (far[at] - far[at - 1])
    return float(rate), float(values[at - 1])


def most_accepted(far: float, count: int) -> int:
    """The largest number of `count` pairs whose share is at most `far`."""
    accepted = int(far * count)
    while (accepted + 1) / count <= far:
        accepted += 1
    while accepted and accepted / count > far:
        accepted -= 1
    return accepted
