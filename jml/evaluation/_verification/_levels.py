"""One level of bins, and where in it the thresholds can lie."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Integer as Int

from jml.evaluation._ranking import Progress

from ._bins import BINS, Blocks, Scale, count_bins
from ._curve import Curve, make_curve
from ._genuine import Genuine
from ._items import Items


class Accepting(NamedTuple):
    """The threshold that accepts so many impostor pairs at most."""

    accepted: int
    bins: int = 0  # so many bins further down, for the next smaller distance


class Crossing(NamedTuple):
    """The threshold at which as many impostors are accepted as genuine are rejected."""


Target = Accepting | Crossing


class Level(NamedTuple):
    """Impostor pairs in the bins of a range that holds what is looked for.

    A squared distance may be off by `slack`, its rounding to a bin included.
    """

    blocks: Blocks
    scale: Scale
    low: float  # squared distances between which all that is looked for lies
    high: float
    slack: float
    counts: Int[np.ndarray, " b"]
    of_folds: Int[np.ndarray, "g b"]
    # Genuine pairs up to the upper edge of each bin: if it is `slack` less, as it is,
    # and if it is `slack` more.
    genuine: Int[np.ndarray, "3 b"]

    @property
    def ends(self) -> Int[np.ndarray, " b"]:
        """How many impostor pairs are in each bin and those below it."""
        return np.cumsum(self.counts)

    def bins_about(self, low: float, high: float) -> tuple[int, int]:
        """The first and the last bin in which a pair of this range may be."""
        ends = np.array([low - self.slack, high + self.slack]) - self.scale.low
        first, last = np.clip(ends // self.scale.width, 0, BINS - 1).astype(int)
        return int(first), int(last)


def make_level(
    items: Items,
    genuine: Genuine,
    blocks: Blocks,
    bounds: tuple[float, float],
    scale: Scale,
    progress: Progress,
) -> Level:
    """Counts the impostor pairs in the bins of this scale."""
    eps = float(np.finfo(blocks.rows.dtype).eps)
    slack = blocks.slack + 4 * eps * (abs(scale.low) + BINS * scale.width)
    counts, of_folds = count_bins(blocks, scale, items.fold_count, progress)
    edges = scale.edges[1:] + slack * np.array([[-1], [0], [1]])
    edges[:, -1] = np.inf
    limits = np.where(edges < 0, -1, items.distances(np.maximum(edges, 0)))
    upto = genuine.at_most(limits.ravel())
    return Level(
        blocks, scale, *bounds, slack, counts, of_folds, upto.reshape(edges.shape)
    )


def window(level: Level, target: Target) -> tuple[float, float]:
    """Squared distances between which the target lies for certain."""
    upper = level.scale.edges[1:]
    if isinstance(target, Accepting):
        first, last = (
            int(np.searchsorted(level.ends, target.accepted - back, side="right"))
            for back in (1, 0)
        )
        if target.bins:
            filled = np.flatnonzero(level.counts[:first])
            first = int(filled[-target.bins]) if len(filled) >= target.bins else 0
        before = first - 1
    else:
        far = level.ends / level.ends[-1]
        low, _, high = far + level.genuine / level.genuine[1, -1]
        last = int(np.flatnonzero(high >= 1)[0])
        before = int(np.count_nonzero(low < 1)) - 1
    low = upper[before] - level.slack if before >= 0 else level.low
    high = upper[last] + level.slack if last < BINS - 1 else level.high
    return max(low, level.low), min(high, level.high)


def area(level: Level) -> tuple[float, float]:
    """The area under the curve, and how far it may be off: a bin has no order."""
    low, _, high = level.genuine
    low = np.concatenate([[0], low[:-1]])
    pairs = int(level.counts.sum()) * int(high[-1])
    middle = np.dot(level.counts, (low + high) / 2) / pairs
    return float(middle), float(np.dot(level.counts, (high - low) / 2) / pairs)


def level_curve(items: Items, level: Level) -> Curve:
    """The curve through the upper edges of the bins."""
    edges = level.scale.edges[1:]
    edges[-1] = level.high
    ends, genuine = level.ends, level.genuine[1]
    changes = np.diff(ends, prepend=0) + np.diff(genuine, prepend=0) > 0
    return make_curve(items.distances(edges[changes]), ends[changes], genuine[changes])
