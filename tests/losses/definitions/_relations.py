"""What all definitions share: which pairs there are, measures, and reductions.

PyTorch in float64, whose autograd makes the gradients. A definition is a function
``(x, y, relations, **numbers)`` of anchors [B, D], of what they are compared with
[N, D], and of masks. It returns its terms, or a number where it has no terms.
"""

from typing import NamedTuple

import numpy as np
import torch


class Relations(NamedTuple):
    """Which of N columns are positives and negatives of each of B anchors."""

    positive: np.ndarray  # booleans [B, N], never the anchor itself
    negative: np.ndarray
    weight: np.ndarray  # [B, N], how much each positive counts
    valid: np.ndarray  # booleans [B]
    shared: int  # so many of the first columns are the anchors themselves: B or 0
    labels: np.ndarray | None = None  # of the anchors, where they are integers
    triplets: np.ndarray | None = None  # booleans [B, N, N], those that a miner keeps

    def of(self, i):
        """The columns of an anchor's positives, and of its negatives."""
        return np.flatnonzero(self.positive[i]), np.flatnonzero(self.negative[i])

    def triplets_of(self, i):
        """Which of the anchor's positives goes with which of its negatives."""
        p, n = self.of(i)
        every = np.ones((len(p), len(n)), bool)
        return every if self.triplets is None else self.triplets[i][np.ix_(p, n)]

    def weights(self, i):
        return torch.tensor(self.weight[i, self.positive[i]])


def relate(labels, columns=None, *, where=None, column_where=None, memory=None):
    """Relations of integers [B], many-hot labels [B, L] or numbers [B, N].

    A weight multiplies the term of its positive, or in a log-sum its exponential; it
    does not change the number of terms that a mean divides by.

    Args:
        labels: of the anchors. Integers are alike where they are equal, many-hot labels
            where they have one in common. Of a matrix of floats, those above 0 are
            weights of positives, 0 is a negative, and a number below 0 or NaN neither.
        columns: the labels of references, in place of the batch.
        where: booleans [B], which anchors there are.
        column_where: which references there are.
        memory: further columns, a pair of labels and booleans.
    """
    size = len(labels)
    where = np.ones(size, bool) if where is None else where
    if columns is None:
        shared, columns, column_where = size, labels, where
    else:
        shared = 0
        given = np.ones(len(columns), bool) if column_where is None else column_where
        column_where = given
    if memory is not None:
        columns = np.concatenate([columns, memory[0]])
        column_where = np.concatenate([column_where, memory[1]])
    if labels.ndim == 1:
        related = (labels[:, None] == columns[None]).astype(float)
    else:
        related = (labels[:, None] & columns[None]).any(2).astype(float)
    kept = relate_by_numbers(related, where, column_where, shared)
    return kept._replace(labels=labels if labels.ndim == 1 else None)


def relate_by_numbers(related, where=None, column_where=None, shared=0):
    """Relations of numbers [B, N]; the first `shared` columns are the anchors."""
    size, width = related.shape
    where = np.ones(size, bool) if where is None else where
    column_where = np.ones(width, bool) if column_where is None else column_where
    there = where[:, None] & column_where[None]
    there[np.arange(shared), np.arange(shared)] = False
    positive = there & (related > 0)
    weight = np.where(positive, related, 0.0)
    return Relations(positive, there & (related == 0), weight, where, shared)


def unit(x):
    """Rows of length one; a row shorter than 1e-12 is divided by that, and fixed."""
    x = x / x.detach().abs().amax(1, keepdim=True).clamp(min=1)
    squares = (x**2).sum(1, keepdim=True)
    short = squares.sqrt() <= 1e-12
    norms = torch.where(short, 1e-24, squares).sqrt()
    return torch.where(short, x.detach(), x) / norms


def compare(x, y, similarity="cosine"):
    """Similarities [B, N]."""
    return x @ y.T if similarity == "dot" else unit(x) @ unit(y).T


def squared(x, y, normalized=False):
    """Squared distances [B, N], from differences."""
    x, y = (unit(x), unit(y)) if normalized else (x, y)
    return ((x[:, None] - y[None]) ** 2).sum(2)


def euclidean(x, y, normalized=False):
    """Distances [B, N] with the library's floor, below which their slope is 0."""
    squares = squared(x, y, normalized)
    return torch.where(squares < 1e-16, 1e-16, squares).sqrt()


class Term(NamedTuple):
    """One of the numbers that a loss is a mean of."""

    value: torch.Tensor
    anchor: int
    count: float = 1.0  # what it adds to the divisor of a mean
    part: int = 0  # a loss with several parts is the sum of their means


def reduce(terms, reduction, size, *, together=False):
    """A reduction of terms. `together`: the mean is over the terms of all parts."""
    zero = torch.zeros((), dtype=torch.float64)
    if reduction == "sum":
        return sum((t.value for t in terms), zero)
    if reduction == "none":
        each = [[t for t in terms if t.anchor == i] for i in range(size)]
        return torch.stack([_means(own, zero, together) for own in each])
    if reduction == "nonzero":
        return _means([t for t in terms if t.value > 0], zero, False)
    return _means(terms, zero, together)


def _means(terms, zero, together):
    if together:
        terms = [t._replace(part=0) for t in terms]
    total = zero
    for part in sorted({t.part for t in terms}):
        own = [t for t in terms if t.part == part]
        count = sum(t.count for t in own)
        if count:
            total = total + sum(t.value for t in own) / count
    return total
