"""Losses of ranks and of histograms. Weights of positives do not matter to them."""

import numpy as np
import torch

from ._relations import Term, compare, euclidean, squared


def fast_ap(x, y, relations, bins=10):
    """Cakir 2019, (11): average precision from histograms of squared distances."""
    s, terms = squared(x, y, normalized=True), []
    nodes = torch.linspace(0, 4, bins + 1, dtype=torch.float64)[:, None]
    for i in range(len(x)):
        p, n = relations.of(i)
        if len(p):
            near = torch.relu(1 - (s[i, p] - nodes).abs() / (4 / bins)).sum(1)
            far = torch.relu(1 - (s[i, n] - nodes).abs() / (4 / bins)).sum(1)
            full = near > 0
            before, upto = far.cumsum(0), (near + far).cumsum(0)
            missing = (near * before)[full] / upto[full]  # of a precision of 1
            terms.append(Term(missing.sum() / len(p), i))
    return terms


def above(s, of, among, temperature):
    """How many of `among` lie above each of `of`, softly; itself not counted."""
    more = torch.sigmoid((s[among][None] - s[of][:, None]) / temperature)
    itself = torch.tensor(np.asarray(among)[None] == np.asarray(of)[:, None])
    return torch.where(itself, 0, more).sum(1)


def smooth_ap(x, y, relations, temperature, include_anchor=False):
    """Brown 2020, (6). The official code counts the anchor as its own positive."""
    s, terms = compare(x, y), []
    for i in range(len(x)):
        p, n = relations.of(i)
        if len(p):
            p = np.append(p, i) if include_anchor and relations.shared else p
            rank = 1 + above(s[i], p, np.append(p, n), temperature)
            missing = above(s[i], p, n, temperature) / rank  # of a precision of 1
            terms.append(Term(missing.mean(), i))
    return terms


def pnp(x, y, relations, temperature, alpha, b, variant="O", include_anchor=True):
    """Li 2021: a penalty of the number of negatives before each positive.

    The authors' code counts the anchor as its own positive.
    """
    s, terms = compare(x, y), []
    for i in range(len(x)):
        p, n = relations.of(i)
        if len(p):
            p = np.append(p, i) if include_anchor and relations.shared else p
            r = above(s[i], p, n, temperature)
            value = {
                "O": lambda r=r: r,
                "Ds": lambda r=r: torch.log1p(r),
                "Dq": lambda r=r: -torch.expm1(-alpha * torch.log1p(r)),
                "Iu": lambda r=r: (1 + r) * torch.log1p(r),
                "Ib": lambda r=r: (b * r - torch.log1p(b * r)) / b**2,
            }[variant]()
            terms.append(Term(value.mean(), i))
    return terms


def recall_at_k(x, y, relations, temperature, rank_temperature, ks=(1, 2, 4, 8, 16)):
    """Patel 2022, (8): the share of positives whose soft rank is at most k.

    As in the authors' code it is divided by min(k, number of positives).
    """
    s, terms = compare(x, y), []
    for i in range(len(x)):
        p, n = relations.of(i)
        if len(p):
            rank = 1 + above(s[i], p, np.append(p, n), temperature)
            recalls = [
                torch.sigmoid((k - rank) / rank_temperature).sum().clamp(max=k)
                / min(k, len(p))
                for k in ks
            ]
            terms.append(Term(1 - sum(recalls) / len(ks), i))
    return terms


def histogram(x, y, relations, bins=100):
    """Ustinova 2016: how probably a negative pair is more alike than a positive."""
    s = compare(x, y)
    nodes = torch.linspace(-1, 1, bins + 1, dtype=torch.float64)

    def density(kind):
        size = torch.tensor(np.where(np.arange(len(y)) < relations.shared, 0.5, 1.0))
        pulse = torch.relu(1 - (s[kind] - nodes[:, None]).abs() / (2 / bins))
        share = size.repeat(len(x), 1)[kind]
        return (pulse * share).sum(1) / share.sum()

    if not relations.positive.any() or not relations.negative.any():
        return s.sum() * 0
    near, far = density(relations.positive), density(relations.negative)
    return (far * near.cumsum(0)).sum()


def ranked_list(
    x,
    y,
    relations,
    margin,
    alpha,
    positive_temperature,
    negative_temperature,
    imbalance,
    normalized=True,
    epsilon=0.0,
):
    """Wang 2019: weighted means of an anchor's pairs on the wrong side, all anchors.

    PML adds `epsilon` to each divisor, and so does not divide by 0.
    """
    d, terms = euclidean(x, y, normalized), []
    for i in np.flatnonzero(relations.valid):
        total = torch.zeros((), dtype=torch.float64)
        for above, kind, heat, share in (
            (d[i] - (alpha - margin), "positive", positive_temperature, 1 - imbalance),
            (alpha - d[i], "negative", negative_temperature, imbalance),
        ):
            chosen = above[getattr(relations, kind)[i] & (above > 0).numpy(force=True)]
            if len(chosen):
                weights = torch.exp(heat * chosen)
                mean = (weights * chosen).sum() / (weights.sum() + epsilon)
                total = total + share * mean
        terms.append(Term(total, i))
    return terms
