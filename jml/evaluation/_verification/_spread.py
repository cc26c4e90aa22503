r"""How sure rates and thresholds are: what they would be with other classes.

The interval of a rate comes from resampling the classes of the genuine pairs. The error
of a threshold is a jackknife over folds of classes: without one of g folds the pairs of
the others are left. With $t_a$, the threshold without fold a, the standard error is

$$\sqrt{\frac{g - 1}{g} \sum_a (t_a - \bar t)^2}.$$

Pairs that share an item, or a class, are left out together, so that their dependence
counts.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

from ._segments import most_accepted


def standard_errors(
    fars: Sequence[float],
    folds: int,
    left: Callable[[int], int],
    threshold: Callable[[int, int], float],
) -> list[float | None]:
    """The standard error of the threshold of each FAR.

    Args:
        fars: the rates.
        folds: how many folds there are.
        left: how many impostor pairs are left without a fold.
        threshold: the threshold without a fold at which so many pairs are accepted.

    Returns:
        None where too few pairs are left without a fold.
    """
    thresholds = np.full((folds, len(fars)), np.nan)
    for fold in range(folds):
        pairs = left(fold)
        for f, far in enumerate(fars):
            accepted = most_accepted(far, pairs) if pairs else 0
            if accepted:
                thresholds[fold, f] = threshold(fold, accepted)
    # By a power of two, so that no square overflows.
    exponents = np.frexp(np.abs(thresholds).max(axis=0))[1]
    variances = np.ldexp(thresholds, -exponents).var(axis=0)
    errors = np.ldexp(np.sqrt(variances * (folds - 1)), exponents)
    return [None if np.isnan(error) else float(error) for error in errors]


def stored_thresholds(
    distances: Float[np.ndarray, " p"],
    first: Int[np.ndarray, " p"],
    second: Int[np.ndarray, " p"],
) -> tuple[Callable[[int], int], Callable[[int, int], float]]:
    """`left` and `threshold` of ``standard_errors``, where all distances are stored.

    Args:
        distances: of the impostor pairs, ascending.
        first: fold of the first item of each pair.
        second: fold of the second.
    """
    last: dict[int, np.ndarray] = {}

    def left(fold: int) -> int:
        last.clear()
        last[fold] = distances[(first != fold) & (second != fold)]
        return len(last[fold])

    return left, lambda fold, accepted: float(last[fold][accepted - 1])


def binned_thresholds(
    counts: Int[np.ndarray, " b"],
    of_folds: Int[np.ndarray, "g b"],
    edges: Float[np.ndarray, " e"],
    distances: Callable[[np.ndarray], np.ndarray],
) -> tuple[Callable[[int], int], Callable[[int, int], float]]:
    """The same from histograms, to a share of a bin's width.

    Args:
        counts: of all impostor pairs, in bins of the squared distance.
        of_folds: of the pairs that have an item in each fold.
        edges: squared distances between which the bins lie.
        distances: turns squared distances into distances.
    """

    def left(fold: int) -> int:
        return int((counts - of_folds[fold]).sum())

    def threshold(fold: int, accepted: int) -> float:
        ends = np.cumsum(counts - of_folds[fold])
        at = int(np.searchsorted(ends, accepted))
        before = ends[at - 1] if at else 0
        share = (accepted - before) / (ends[at] - before)
        square = edges[at] + share * (edges[at + 1] - edges[at])
        return float(distances(np.array([square]))[0])

    return left, threshold


def class_intervals(
    accepted: Int[np.ndarray, "c f"],
    pairs: Int[np.ndarray, " c"],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> Float[np.ndarray, "f 2"]:
    """Percentile intervals of the accepted share of all genuine pairs.

    Each resample draws as many classes as have a genuine pair, with replacement; a
    class brings all its pairs, which depend on each other.
    """
    kept = pairs > 0
    accepted, pairs = accepted[kept].astype(float), pairs[kept].astype(float)
    rng = np.random.default_rng(seed)
    rates = np.empty((resamples, accepted.shape[1]))
    for rate in rates:
        drawn = rng.integers(len(pairs), size=len(pairs))
        times_drawn = np.bincount(drawn, minlength=len(pairs)).astype(float)
        rate[:] = times_drawn @ accepted / (times_drawn @ pairs)
    tail = (1 - confidence) / 2
    return np.quantile(rates, [tail, 1 - tail], axis=0).T
