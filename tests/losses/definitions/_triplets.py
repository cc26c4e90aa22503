"""Losses of triplets, and of a positive pair with all its negatives."""

import numpy as np
import torch

from ._pairs import log1p_sum
from ._relations import Term, compare, euclidean, squared, unit


def triplet(
    x, y, relations, margin, mining="all", smooth=False, swap=False, distance="squared"
):
    """Schroff 2015, Hermans 2017: [S of the positive - S of the negative + margin]+.

    With `swap` (Balntas 2016) the negative is as near as it is to anchor or positive.
    Mining looks at the anchor's distances.
    """
    measure = squared if distance == "squared" else euclidean
    s, between, terms = measure(x, y), measure(y, y), []
    for i in range(len(x)):
        for p, n, weight in mined(s[i].detach().numpy(), relations, i, mining):
            far = torch.minimum(s[i, n], between[p, n]) if swap else s[i, n]
            above = s[i, p] - far + margin
            value = log1p_sum(above) if smooth else torch.relu(above)
            terms.append(Term(weight * value, i))
    return terms


def mined(s, relations, i, mining):
    """The triplets of one anchor: (positive, negative, weight)."""
    positives, negatives = relations.of(i)
    if not len(negatives) or not len(positives):
        return
    nearest = negatives[np.argmin(s[negatives])]
    farthest = negatives[np.argmax(s[negatives])]
    if mining == "batch_hard":
        positives = positives[[np.argmax(s[positives])]]
    kept = relations.triplets_of(i)
    for p in positives:
        if mining in ("hardest", "batch_hard"):
            chosen = [nearest]
        elif mining == "semi":
            beyond = negatives[s[negatives] > s[p]]
            chosen = [beyond[np.argmin(s[beyond])] if len(beyond) else farthest]
        else:
            chosen = negatives[kept[np.flatnonzero(relations.positive[i]) == p][0]]
        for n in chosen:
            yield p, n, relations.weight[i, p]


def margin(x, y, relations, margin, beta, nu=0.0, normalized=True):
    """Wu 2017, over the triplets, and divided by the parts of them that are above 0.

    `beta` is a number, or one a class. Its own cost is nu beta; with one a class, the
    sum of nu beta over the triplets, over the same divisor.
    """
    d, terms = euclidean(x, y, normalized), []
    for i in range(len(x)):
        p, n = relations.of(i)
        kept = torch.tensor(relations.triplets_of(i))
        own = beta if beta.ndim == 0 else beta[relations.labels[i]]
        near = torch.where(kept, torch.relu(d[i, p] - own + margin)[:, None], 0)
        far = torch.where(kept, torch.relu(own - d[i, n] + margin), 0)
        active = ((near > 0).sum() + (far > 0).sum()).item()
        cost = nu * own * (kept.sum() if beta.ndim else active)
        total = (relations.weights(i)[:, None] * (near + far)).sum()
        terms.append(Term(total + cost, i, active))
    return terms


def angular(x, y, relations, angle):
    """Wang 2017, (8): log(1 + sum of e^(4 t^2 (a + p) n - 2 (1 + t^2) a p))."""
    x, y, terms = unit(x), unit(y), []
    t2 = torch.tan(angle) ** 2
    for i, p in np.argwhere(relations.positive):
        far = y[relations.negative[i]] @ (x[i] + y[p])
        f = 4 * t2 * far - 2 * (1 + t2) * (x[i] @ y[p])
        terms.append(Term(relations.weight[i, p] * log1p_sum(f), i))
    return terms


def n_pairs(x, y, relations, similarity="cosine"):
    """Sohn 2016: the first two items of each class, as PML; unit vectors.

    Of references, and of relations that are no classes: each item that does not stand
    behind one of its positives, with the first of these. It is compared with those of
    the others' positives that are its negatives.
    """
    s, pairs = compare(x, y, similarity), []
    for i in range(len(x)):
        positives, _ = relations.of(i)
        if len(positives) and (not relations.shared or positives[0] > i):
            pairs.append((i, positives[0]))
    chosen = sorted({p for _, p in pairs})
    terms = []
    for i, p in pairs:
        negatives = [q for q in chosen if relations.negative[i, q]]
        logits = s[i, [p, *negatives]]
        loss = torch.logsumexp(logits, 0) - logits[0]
        terms.append(Term(relations.weight[i, p] * loss, i))
    return terms
