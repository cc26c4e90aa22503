"""The curve of false and true acceptances, in as many points as a plot can show."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

POINTS = 1000  # most points of a curve that has been thinned


class Curve(NamedTuple):
    """Rates at thresholds in ascending order: ROC and DET are two ways to plot them.

    ROC is `tar` over `far`; DET is 1 - `tar` over `far`, both on logarithmic axes, or
    on those of normal deviates. The first point accepts nothing: its threshold is
    negative infinity. The last accepts all.
    """

    thresholds: Float[np.ndarray, " p"]
    far: Float[np.ndarray, " p"]  # share of the impostor pairs that are accepted
    tar: Float[np.ndarray, " p"]  # share of the genuine pairs that are accepted


def make_curve(
    thresholds: Float[np.ndarray, " v"],
    impostors: Int[np.ndarray, " v"],
    genuine: Int[np.ndarray, " v"],
) -> Curve:
    """The curve through these thresholds, or through some of them if they are many.

    Args:
        thresholds: distances, ascending. All pairs are at most at the last.
        impostors: impostor pairs at most at each.
        genuine: genuine pairs at most at each.
    """
    kept = _kept(impostors, genuine)
    start = [-np.inf], [0.0], [0.0]
    rates = impostors / impostors[-1], genuine / genuine[-1]
    return Curve(
        *(
            np.concatenate([first, values[kept]])
            for first, values in zip(start, (thresholds, *rates), strict=True)
        )
    )


def _kept(
    impostors: Int[np.ndarray, " v"], genuine: Int[np.ndarray, " v"]
) -> Int[np.ndarray, " k"]:
    """Points that are even along either rate, and along the logarithms of both."""
    count = len(impostors)
    if count < POINTS:
        return np.arange(count)
    quarter = (POINTS - 4) // 4
    kept = [np.array([0, count - 1])]
    for ascending in (impostors, genuine, genuine[-1] - genuine[::-1]):
        total = ascending[-1]
        levels = np.linspace(0, total, quarter)
        if ascending is not genuine:
            levels = np.geomspace(1, max(2, total), quarter)
        at = np.minimum(np.searchsorted(ascending, levels), count - 1)
        kept.append(
            at if ascending is impostors or ascending is genuine else count - 1 - at
        )
    even = np.linspace(0, impostors[-1], quarter)
    kept.append(np.minimum(np.searchsorted(impostors, even), count - 1))
    return np.unique(np.concatenate(kept))


def exact_auc(
    genuine: Float[np.ndarray, " g"], impostors: Float[np.ndarray, " i"]
) -> float:
    """The share of impostor pairs farther than a genuine one; both are ascending."""
    less = np.searchsorted(impostors, genuine).sum(dtype=np.int64)
    not_more = np.searchsorted(impostors, genuine, side="right").sum(dtype=np.int64)
    pairs = len(genuine) * len(impostors)
    return 1 - (int(less) + int(not_more)) / 2 / pairs
