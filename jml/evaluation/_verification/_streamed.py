"""More pairs than can be stored: in bins, and exact where a threshold lies.

A first pass puts all impostor pairs into bins. From their counts it is known in which
bins a threshold lies. A second pass hands out the pairs in these, and in those as near
as products are off by; their distances are computed from differences. All others are on
one side of the threshold for certain, so that it, and what it accepts, are exact.

Where these bins hold too many pairs, because a few items are far from the others,
their range is divided into bins anew. Where products are too far off for that, they
are repeated in float64.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

from jml.evaluation._ranking import Progress

from ._bins import BINS, LEAST, Scale, collect, make_blocks
from ._genuine import Genuine, compute_genuine
from ._items import Items
from ._levels import (
    Accepting,
    Crossing,
    Level,
    Target,
    area,
    level_curve,
    make_level,
    window,
)
from ._result import Measured
from ._segments import Segment, compacted, equal_error, make_segment, most_accepted
from ._spread import binned_thresholds, standard_errors

MANY = 2**23  # pairs whose distances are computed from differences without more bins
SAMPLE = 2**18  # pairs from which the range of the bins is taken


class Range(NamedTuple):
    """Neighbouring bins, and the squared distances of the targets within them."""

    first: int
    last: int
    low: float
    high: float


def measure_streamed(
    items: Items, fars: Sequence[float], progress: Progress
) -> Measured:
    """Measures with bins of impostor pairs."""
    genuine = compute_genuine(items)
    level = _first_level(items, genuine, progress)
    count = int(level.counts.sum())
    targets: list[Target] = [Crossing()]
    accepted = [most_accepted(far, count) for far in fars]
    targets += [Accepting(number) for number in accepted if number]
    at_crossing, *solved = _solve(items, genuine, level, targets, progress)
    for place, number in enumerate(filter(None, accepted)):
        bins = 0
        while _lacks_the_next(solved[place], number):
            bins = 2 * bins or 1
            again: list[Target] = [Accepting(number, bins)]
            (solved[place],) = _solve(items, genuine, level, again, progress)
    others = genuine.between(*at_crossing.bounds)
    values = np.union1d(at_crossing.values, others.values)
    eer, threshold = equal_error(values, at_crossing, count, others, genuine.count)
    binned = level.counts, level.of_folds, level.scale.edges
    left = binned_thresholds(*binned, items.distances)
    each = iter(solved)
    return Measured(
        genuine,
        count,
        [next(each) if number else None for number in accepted],
        standard_errors(fars, items.fold_count, *left),
        *area(level),
        eer,
        threshold,
        level_curve(items, level),
    )


def _first_level(items: Items, genuine: Genuine, progress: Progress) -> Level:
    """The level with all pairs in it."""
    i, j = np.random.default_rng(0).integers(len(items.classes), size=(2, SAMPLE))
    blocks = make_blocks(items, np.dtype(np.float32))
    # The pairs drawn may be alike where others are far: no bins finer than products.
    largest = max(float(items.squares(i, j).max()), blocks.slack, LEAST)
    bounds = 0.0, 4 * float(np.max(blocks.squares)) + blocks.slack
    scale = Scale(0.0, 1.05 * largest / BINS)
    return make_level(items, genuine, blocks, bounds, scale, progress)


def _lacks_the_next(segment: Segment, accepted: int) -> bool:
    """Whether the next smaller distance than the limit is below the segment's range."""
    _, below, before = segment.limit(accepted)
    return before is None and below > 0


def _solve(
    items: Items,
    genuine: Genuine,
    level: Level,
    targets: Sequence[Target],
    progress: Progress,
    most: float = np.inf,
) -> list[Segment]:
    """The exact distances about each target.

    A range of more than `most` is not divided again: there is a gap in it.
    """
    windows = [window(level, target) for target in targets]
    ranges = _ranges(level, windows)
    found: dict[int, Segment] = {}
    light = []
    for one in ranges:
        inside = [
            t for t, (low, high) in enumerate(windows) if one.low <= low <= one.high
        ]
        deeper, span = None, one.high - one.low
        many = level.counts[one.first : one.last + 1].sum() > MANY
        if many and span < most:
            deeper = _finer(items, genuine, level, one, progress)
        if deeper is None:
            light.append(one)
            continue
        here = [targets[t] for t in inside]
        solved = _solve(items, genuine, deeper, here, progress, span / 2)
        found |= zip(inside, solved, strict=True)
    collected = _collect(items, level, light, progress) if light else []
    for one, (squares, times) in zip(light, collected, strict=True):
        below = int(level.counts[: one.first].sum())
        for t, (low, high) in enumerate(windows):
            if one.low <= low <= one.high:
                start = int(np.searchsorted(squares, low))
                end = int(np.searchsorted(squares, high, side="right"))
                bounds = items.distances(np.maximum([low, high], 0)).tolist()
                found[t] = make_segment(
                    items.distances(squares[start:end]),
                    times[start:end],
                    below + int(times[:start].sum()),
                    (bounds[0], bounds[1]),
                )
    return [found[t] for t in range(len(targets))]


def _ranges(level: Level, windows: Sequence[tuple[float, float]]) -> list[Range]:
    """The bins about these windows; those that overlap are one range."""
    ranges: list[Range] = []
    for low, high in sorted(windows):
        first, last = level.bins_about(low, high)
        if ranges and first <= ranges[-1].last:
            one = ranges.pop()
            first, last = one.first, max(last, one.last)
            low, high = one.low, max(high, one.high)
        ranges.append(Range(first, last, low, high))
    return ranges


def _finer(
    items: Items, genuine: Genuine, level: Level, one: Range, progress: Progress
) -> Level | None:
    """A level of this range alone; None if no finer one could tell more."""
    blocks, span = level.blocks, one.high - one.low
    narrow = blocks.rows.dtype == np.float32
    if span < max(16 * level.slack, LEAST * narrow):
        if not narrow:
            return None
        blocks = make_blocks(items, np.dtype(np.float64))
    margin = 4 * level.slack + span / 1000  # the first and last bins are beyond it
    scale = Scale(one.low - margin, (span + 2 * margin) / BINS)
    return make_level(items, genuine, blocks, (one.low, one.high), scale, progress)


def _collect(
    items: Items, level: Level, ranges: Sequence[Range], progress: Progress
) -> list[tuple[Float[np.ndarray, " k"], Int[np.ndarray, " k"]]]:
    """The exact squared distances in each range, ascending, and how often each is."""
    number = np.full(BINS + 1, len(ranges))
    for place, one in enumerate(ranges):
        number[one.first : one.last + 1] = place
    wanted = number[:BINS] < len(ranges)
    held = [[(np.empty(0), np.empty(0, np.int64))] for _ in ranges]
    for bins, i, j in collect(level.blocks, level.scale, wanted, progress):
        squares, of_range = items.squares(i, j), number[bins]
        for place in np.unique(of_range):
            here = squares[of_range == place]
            held[place].append((here, np.ones(len(here), np.int64)))
            if sum(len(values) for values, _ in held[place][1:]) > MANY:
                held[place] = [_joined(held[place])]
    return [_joined(parts) for parts in held]


def _joined(parts: list) -> tuple[np.ndarray, np.ndarray]:
    values, times = zip(*parts, strict=True)
    return compacted(np.concatenate(values), np.concatenate(times))
