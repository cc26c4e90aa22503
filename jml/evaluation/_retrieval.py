"""The metrics of a ranking, from the ranks of its relevant items, and their means."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from jaxtyping import Integer as Int

MAP_DIVISORS = ("map@", "map_relevant@", "map_hits@")


def retrieval_metrics(
    ranks: Int[np.ndarray, "q r"],
    relevant: Int[np.ndarray, " q"],
    *,
    ks: Sequence[int],
    map_ks: Sequence[int],
) -> dict[str, Float[np.ndarray, " q"]]:
    """Each metric of each query; ``evaluate`` defines them.

    Args:
        ranks: ranks of the relevant items, from 0, in ascending order. Entries beyond
            the number of relevant items are ignored.
        relevant: how many relevant items each query has, one at least.
        ks: numbers of neighbours for Recall@k.
        map_ks: numbers of neighbours for average precision.
    """
    number = np.arange(1, ranks.shape[1] + 1)
    valid = number <= relevant[:, None]
    # The precision among all items down to each relevant one.
    precision = np.where(valid, number / (ranks + 1.0), 0.0)
    near = ranks < relevant[:, None]
    metrics = {f"recall@{k}": (ranks[:, 0] < k).astype(float) for k in ks}
    metrics["precision@1"] = (ranks[:, 0] < 1).astype(float)
    metrics["map"] = _sums(precision) / relevant
    metrics["map@r"] = _sums(precision * near) / relevant
    metrics["r_precision"] = near.sum(axis=1) / relevant
    metrics["mrr"] = 1 / (ranks[:, 0] + 1.0)
    for k in map_ks:
        hits = valid & (ranks < k)
        total = _sums(precision * hits)
        divisors = np.minimum(relevant, k), relevant, np.maximum(hits.sum(axis=1), 1)
        for name, divisor in zip(MAP_DIVISORS, divisors, strict=True):
            metrics[f"{name}{k}"] = total / divisor
    return metrics


def _sums(rows: Float[np.ndarray, "q r"]) -> Float[np.ndarray, " q"]:
    """Sums each row in order: zeros that fill it up do not change the last digit."""
    return np.cumsum(rows, axis=1)[:, -1]


def bootstrap_intervals(
    values: Float[np.ndarray, "q m"],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> Float[np.ndarray, "m 2"]:
    """Percentile intervals of the columns' means, over resampled rows.

    Each resample draws as many rows as there are, with replacement.
    """
    rng = np.random.default_rng(seed)
    rows = len(values)
    means = np.empty((resamples, values.shape[1]))
    for mean in means:
        times_drawn = np.bincount(rng.integers(rows, size=rows), minlength=rows)
        mean[:] = times_drawn @ values / rows
    tail = (1 - confidence) / 2
    return np.quantile(means, [tail, 1 - tail], axis=0).T


def class_means(
    values: Float[np.ndarray, "q m"],
    classes: Int[np.ndarray, " q"],
    number_of_classes: int,
) -> Float[np.ndarray, "c m"]:
    """The mean of each class's rows; NaN for a class without any."""
    sums = np.zeros((number_of_classes, values.shape[1]))
    np.add.at(sums, classes, values)
    sizes = np.bincount(classes, minlength=number_of_classes)[:, None]
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)
