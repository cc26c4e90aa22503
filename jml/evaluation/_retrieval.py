"""What a ranking is worth, from the ranks of its relevant items alone."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

MAP_DIVISORS = ("map@", "map_relevant@", "map_hits@")


def retrieval_metrics(
    ranks: Int[np.ndarray, "q r"],
    relevant: Int[np.ndarray, " q"],
    *,
    ks: Sequence[int],
    map_ks: Sequence[int],
) -> dict[str, Float[np.ndarray, " q"]]:
    """Each metric for each query; ``evaluate`` says what they are.

    Args:
        ranks: of the relevant items, from 0, in ascending order; more entries than a
            query has relevant items are ignored.
        relevant: how many it has, one at least.
        ks: for Recall@k.
        map_ks: for average precision among the first k.
    """
    number = np.arange(1, ranks.shape[1] + 1)
    valid = number <= relevant[:, None]
    # The precision among all items down to each relevant one.
    precision = np.where(valid, number / (ranks + 1.0), 0.0)
    near = ranks < relevant[:, None]
    metrics = {f"recall@{k}": (ranks[:, 0] < k).astype(float) for k in ks}
    metrics["precision@1"] = (ranks[:, 0] < 1).astype(float)
    metrics["map"] = precision.sum(axis=1) / relevant
    metrics["map@r"] = np.sum(precision * near, axis=1) / relevant
    metrics["r_precision"] = near.sum(axis=1) / relevant
    metrics["mrr"] = 1 / (ranks[:, 0] + 1.0)
    for k in map_ks:
        found = valid & (ranks < k)
        total = np.sum(precision * found, axis=1)
        divisors = np.minimum(relevant, k), relevant, np.maximum(found.sum(axis=1), 1)
        for name, divisor in zip(MAP_DIVISORS, divisors, strict=True):
            metrics[f"{name}{k}"] = total / divisor
    return metrics


def bootstrap_intervals(
    values: Float[np.ndarray, "q m"],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> Float[np.ndarray, "m 2"]:
    """Percentile intervals of the columns' means, for queries drawn anew."""
    rng = np.random.default_rng(seed)
    count = len(values)
    means = np.empty((resamples, values.shape[1]))
    for row in means:
        drawn = np.bincount(rng.integers(count, size=count), minlength=count)
        row[:] = drawn @ values / count
    tail = (1 - confidence) / 2
    return np.quantile(means, [tail, 1 - tail], axis=0).T


def class_means(
    values: Float[np.ndarray, "q m"],
    classes: Int[np.ndarray, " q"],
    count: int,
) -> Float[np.ndarray, "c m"]:
    """The mean of each class's queries; NaN for a class without any."""
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, classes, values)
    sizes = np.bincount(classes, minlength=count)[:, None]
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)
