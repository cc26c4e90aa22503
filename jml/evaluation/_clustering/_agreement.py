"""How well a clustering agrees with the classes."""

from typing import Any

import numpy as np
from jaxtyping import Array
from jaxtyping import Integer as Int


def normalized_mutual_information(
    labels: Int[Array | np.ndarray, " n"], clusters: Int[Array | np.ndarray, " n"]
) -> float:
    r"""Mutual information of two partitions, divided by the mean of their entropies.

    $$\mathrm{NMI} = \frac{I(L, C)}{(H(L) + H(C)) / 2}$$

    It is 0 for independent partitions and 1 for equal ones. It grows with the number of
    clusters, even of random ones; `adjusted_mutual_information` does not.

    Args:
        labels: class of each item.
        clusters: cluster of each item.

    Returns:
        The score; 1 where both partitions have a single part.

    Raises:
        ValueError: the arrays differ in length, are empty, or do not hold integers.

    Example:
        >>> labels, clusters = np.array([0, 0, 1, 1]), np.array([5, 5, 5, 2])
        >>> round(normalized_mutual_information(labels, clusters), 4)
        0.3437
    """
    table = _contingency("normalized_mutual_information", labels, clusters)
    if table.counts.size == 1:
        return 1.0
    mean = (table.entropy(0) + table.entropy(1)) / 2
    return float(max(table.information(), 0) / mean)


def adjusted_mutual_information(
    labels: Int[Array | np.ndarray, " n"], clusters: Int[Array | np.ndarray, " n"]
) -> float:
    r"""Mutual information of two partitions, adjusted for chance.

    $$\mathrm{AMI} = \frac{I - E[I]}{(H(L) + H(C)) / 2 - E[I]}$$

    The expectation is over all pairs of partitions whose parts have the same sizes
    (Vinh et al., "Information Theoretic Measures for Clusterings Comparison", 2010).

    Args:
        labels: class of each item.
        clusters: cluster of each item.

    Returns:
        The score: 1 for equal partitions, about 0 for random ones; it may be negative.

    Raises:
        ValueError: the arrays differ in length, are empty, or do not hold integers.

    Example:
        >>> labels, clusters = np.array([0, 0, 1, 1]), np.array([3, 3, 8, 8])
        >>> round(adjusted_mutual_information(labels, clusters), 4)
        1.0
    """
    table = _contingency("adjusted_mutual_information", labels, clusters)
    expected = table.expected_information()
    mean = (table.entropy(0) + table.entropy(1)) / 2
    if mean - expected <= 1e-14 * max(mean, 1):  # only one such pair of partitions
        return 1.0
    return float((table.information() - expected) / (mean - expected))


class _Contingency:
    """How many items each class shares with each cluster.

    Args:
        labels: class of each item.
        clusters: cluster of each item.
    """

    def __init__(self, labels: np.ndarray, clusters: np.ndarray) -> None:
        parts = [np.unique(a, return_inverse=True)[1] for a in (labels, clusters)]
        self.total = len(labels)
        self.sizes = [np.bincount(part) for part in parts]
        cells = parts[0] * len(self.sizes[1]) + parts[1]
        cells, self.counts = np.unique(cells, return_counts=True)
        self.rows, self.columns = np.divmod(cells, len(self.sizes[1]))

    def entropy(self, side: int) -> float:
        """The entropy of the classes (side 0) or of the clusters (side 1)."""
        share = self.sizes[side] / self.total
        return float(-np.sum(share * np.log(share)))

    def information(self) -> float:
        """The mutual information of classes and clusters."""
        a, b = self.sizes[0][self.rows], self.sizes[1][self.columns]
        share = self.counts / self.total
        ratio = np.log(self.total) + np.log(self.counts) - np.log(a) - np.log(b)
        return float(np.sum(share * ratio))

    def expected_information(self) -> float:
        """The mutual information expected by chance.

        It depends on the sizes of a class and a cluster alone. So the sum is over pairs
        of distinct sizes, which are far fewer than pairs of parts.
        """
        from scipy.special import gammaln

        n = self.total
        sizes_a, times_a = np.unique(self.sizes[0], return_counts=True)
        sizes_b, times_b = np.unique(self.sizes[1], return_counts=True)
        log_factorial = gammaln(np.arange(n + 1) + 1.0)
        b, total = sizes_b[:, None], 0.0
        for a, times in zip(sizes_a, times_a, strict=True):
            shared = np.arange(1, min(a, sizes_b.max()) + 1)
            possible = (shared <= b) & (shared >= a + b - n)
            rest = (
                np.where(possible, b - shared, 0),
                np.where(possible, n - a - b + shared, 0),
            )
            # The hypergeometric probability of each number of shared items.
            log_p = log_factorial[a] + log_factorial[b] - log_factorial[n]
            log_p = log_p + log_factorial[n - a] + log_factorial[n - b]
            log_p = log_p - log_factorial[shared] - log_factorial[a - shared]
            log_p = log_p - log_factorial[rest[0]] - log_factorial[rest[1]]
            gain = shared / n * (np.log(n) + np.log(shared) - np.log(a) - np.log(b))
            terms = gain * np.exp(np.where(possible, log_p, -np.inf))
            total += times * np.sum(times_b * terms.sum(axis=1))
        return float(total)


def _contingency(name: str, labels: Any, clusters: Any) -> _Contingency:
    labels, clusters = np.asarray(labels), np.asarray(clusters)
    for argument, value in (("labels", labels), ("clusters", clusters)):
        if value.ndim != 1 or not np.issubdtype(value.dtype, np.integer):
            raise ValueError(
                f"{name}: `{argument}` must be integer [n], got {value.dtype}"
                f" {value.shape}"
            )
    if len(labels) != len(clusters) or not len(labels):
        raise ValueError(
            f"{name}: `labels` and `clusters` must be of one length and not empty, got"
            f" {len(labels)} and {len(clusters)}"
        )
    return _Contingency(labels, clusters)
