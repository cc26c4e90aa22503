"""Losses of two views or two towers."""

import numpy as np
import torch
import torch.nn.functional as F

from ._pairs import log_sum
from ._relations import Term, compare


def siglip(x, y, relations, scale, bias):
    """Zhai 2023: each pair a binary decision; the sum over a query's pairs."""
    s, terms = scale * compare(x, y) + bias, []
    for i in np.flatnonzero(relations.valid):
        p, n = relations.of(i)
        near = -(relations.weights(i) * F.logsigmoid(s[i, p])).sum()
        terms.append(Term(near - F.logsigmoid(-s[i, n]).sum(), i))
    return terms


def cross_entropies(s, positive, negative, weight):
    """Of each row: log of the sum, less the mean over its positives.

    A weight is a factor of its positive's term, as in SupCon.
    """
    terms = []
    for i in range(len(s)):
        if positive[i].any():
            near, w = s[i, positive[i]], torch.tensor(weight[i, positive[i]])
            below = log_sum(near, s[i, negative[i]])
            terms.append(Term((w * (below - near)).mean(), i))
    return terms


def clip(x, y, relations, scale):
    """Radford 2021: half of the queries' mean, half of the references'."""
    s = scale * compare(x, y)
    masks = relations.positive, relations.negative, relations.weight
    rows = cross_entropies(s, *masks)
    columns = cross_entropies(s.T, *[m.T for m in masks])
    return sum(
        sum(t.value for t in part) / (2 * len(part)) for part in (rows, columns) if part
    )


def clip_four_way(x, y, relations, scale):
    """Li 2023 (GTE): one sum of all pairs that query i or reference i is in."""
    s, q, r = (scale * compare(a, b) for a, b in ((x, y), (x, x), (y, y)))
    there = np.flatnonzero(relations.valid)
    losses = []
    for i in there:
        rest = there[there != i]
        below = log_sum(s[i, there], q[i, rest], s[there, i], r[i, rest])
        losses.append(below - s[i, i])
    return sum(losses) / len(losses)


def vicreg(x, y, invariance, variance, covariance, eps):
    """Bardes 2022, with half the variance term, as the authors' code has it.

    One item has no covariance: then only the invariance counts.
    """
    total = invariance * ((x - y) ** 2).mean() if len(x) else x.sum()
    for view in (x, y) if len(x) > 1 else ():
        spread = torch.relu(1 - (view.var(0) + eps).sqrt()).mean() / 2
        away = view - view.mean(0)
        cov = away.T @ away / (len(x) - 1)
        apart = (cov**2).sum() - (cov.diagonal() ** 2).sum()
        total = total + variance * spread + covariance * apart / x.shape[1]
    return total


def barlow_twins(x, y, off_diagonal):
    """Zbontar 2021: the correlations of two views are to be the identity.

    A constant column has correlation 0, and of one item there is none.
    """
    if len(x) < 2:
        return (x.sum() + y.sum()) * 0
    c = correlation(x).T @ correlation(y)
    apart = (c**2).sum() - (c.diagonal() ** 2).sum()
    return ((c.diagonal() - 1) ** 2).sum() + off_diagonal * apart


def correlation(x):
    """Columns of mean 0 and length 1, or of zeros."""
    away = x - x.mean(0)
    squares = (away**2).sum(0)
    flat = squares <= 1e-24
    return torch.where(flat, 0, away) / torch.where(flat, 1, squares).sqrt()
