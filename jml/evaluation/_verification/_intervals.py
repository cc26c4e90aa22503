"""Intervals of true acceptance rates, over resampled classes."""

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int


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
