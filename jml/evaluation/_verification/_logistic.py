"""A logistic of the distance, and how well calibrated it is."""

import numpy as np
from jaxtyping import Bool, Float

BINS = 15  # of the calibration error
STEPS = 100  # of Newton's method, at most


def fit_logistic(
    distances: Float[np.ndarray, " p"], genuine: Bool[np.ndarray, " p"]
) -> tuple[float, float]:
    r"""The intercept a and the slope b of $p = 1 / (1 + e^{-(a + b d)})$.

    They minimise the cross-entropy, with as much weight on the genuine pairs together
    as on the impostors. The targets are Platt's, a little within 0 and 1, so that there
    is a minimum where the distances separate the pairs.
    """
    counts = np.array([(~genuine).sum(), genuine.sum()])
    weights = (0.5 / counts)[genuine.astype(int)]
    targets = np.where(genuine, (counts[1] + 1) / (counts[1] + 2), 1 / (counts[0] + 2))
    centre, scale = distances.mean(), float(distances.std()) or 1.0
    columns = np.stack([np.ones(len(distances)), (distances - centre) / scale], 1)

    def loss(at):
        logits = columns @ at
        return weights @ (np.logaddexp(0, logits) - targets * logits)

    at, best = np.zeros(2), np.log(2.0)
    for _ in range(STEPS):
        p = logistic(columns @ at)
        slope = columns.T @ (weights * (p - targets))
        curvature = (columns.T * (weights * p * (1 - p))) @ columns
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), slope)
        while loss(at - step) > best and np.abs(step).max() > 1e-14:
            step /= 2
        at = at - step
        best = min(best, loss(at))
        if np.abs(step).max() < 1e-12:
            break
    return float(at[0] - at[1] * centre / scale), float(at[1] / scale)


def logistic(logits: Float[np.ndarray, "*p"]) -> Float[np.ndarray, "*p"]:
    """$1 / (1 + e^{-x})$, without overflow."""
    return np.exp(-np.logaddexp(0, -logits))


def calibration_error(
    probabilities: Float[np.ndarray, " p"], genuine: Bool[np.ndarray, " p"]
) -> float:
    """The expected calibration error (ECE) in 15 bins of equal width.

    In each bin, the mean probability is compared with the share of genuine pairs; the
    error is the mean of the differences, by the weight of the bins. Genuine pairs have
    as much weight together as impostors.
    """
    counts = np.array([(~genuine).sum(), genuine.sum()])
    weights = (0.5 / counts)[genuine.astype(int)]
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    difference = np.bincount(bins, weights * (probabilities - genuine), BINS)
    return float(np.abs(difference).sum())
