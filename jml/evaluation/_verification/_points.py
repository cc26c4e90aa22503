"""Operating points: the threshold of each rate, and what it accepts."""

from collections.abc import Sequence

import numpy as np

from ._result import TIED, TOO_FEW, Measured, OperatingPoint
from ._segments import most_accepted
from ._spread import class_intervals


def make_points(
    measured: Measured,
    fars: Sequence[float],
    resamples: int,
    confidence: float,
    seed: int,
) -> list[OperatingPoint]:
    """The operating point of each rate."""
    genuine, limits = measured.genuine, []
    for far, segment in zip(fars, measured.segments, strict=True):
        accepted = most_accepted(far, measured.impostors)
        limits.append(segment.limit(accepted) if segment else None)
    at = np.array([limit[0] if limit else -np.inf for limit in limits])
    counts, largest = genuine.below(at)
    tars = counts.sum(axis=0) / genuine.count
    intervals = np.empty(0)
    if resamples:
        intervals = class_intervals(
            counts,
            genuine.class_counts,
            resamples=resamples,
            confidence=confidence,
            seed=seed,
        )
    points = []
    for f, (far, limit) in enumerate(zip(fars, limits, strict=True)):
        if limit is None:
            points.append(OperatingPoint(far, None, None, None, None, None, TOO_FEW))
            continue
        _, below, before = limit
        threshold = max(float(largest[f]), -np.inf if before is None else before)
        exists = threshold > -np.inf
        interval = tuple(intervals[f].tolist()) if resamples else None
        points.append(
            OperatingPoint(
                far,
                threshold if exists else None,
                float(tars[f]),
                interval,
                measured.errors[f] if exists else None,
                below / measured.impostors,
                "" if exists else TIED,
            )
        )
    return points
