"""Miners: relations [B, N] in, fewer relations out. Ties go to the first column.

A miner's `measure` is that of its loss: distances of unit vectors ("directions"), or
embeddings as they are, compared by "distances" or inner "products".
"""

import numpy as np

from ._relations import compare, euclidean


def multi_similarity(x, y, relations, epsilon, measure="directions"):
    """Wang 2019: positives less alike than the nearest negative, and vice versa."""
    s = compare(x, y).numpy(force=True)
    nearest = np.where(relations.negative, s, -np.inf).max(1, keepdims=True)
    farthest = np.where(relations.positive, s, np.inf).min(1, keepdims=True)
    return relations._replace(
        positive=relations.positive & (s - epsilon < nearest),
        negative=relations.negative & (s + epsilon > farthest),
    )


def pair_margin(x, y, relations, pos_margin, neg_margin, measure="directions"):
    """Positives farther apart than a margin, negatives nearer than another."""
    d = euclidean(x, y, measure == "directions").numpy(force=True)
    return relations._replace(
        positive=relations.positive & (d > pos_margin),
        negative=relations.negative & (d < neg_margin),
    )


def triplets(x, y, relations, margin, kind, measure="directions"):
    """Triplets [B, N, N] by how much farther the negative is than the positive."""
    d = euclidean(x, y, measure == "directions").numpy(force=True)
    both = relations.positive[:, :, None] & relations.negative[:, None]
    gap = d[:, None] - d[:, :, None]
    keep = {
        "all": gap <= margin,
        "hard": gap <= min(margin, 0),
        "semihard": (gap > 0) & (gap <= margin),
        "easy": gap > margin,
    }
    return both & keep[kind]


def triplet_margin(x, y, relations, margin, kind, measure="directions"):
    """These triplets, and the pairs in them."""
    kept = triplets(x, y, relations, margin, kind, measure)
    return relations._replace(positive=kept.any(2), negative=kept.any(1), triplets=kept)


def choose(distances, columns, *, farthest):
    """One of the columns, or none of none."""
    if not len(columns):
        return columns
    best = (np.argmax if farthest else np.argmin)(distances[columns])
    return columns[[best]]


def easy_hard(x, y, relations, positives, negatives, measure="directions"):
    """One positive and one negative of an anchor, each by its strategy, or all.

    "semihard" is the hardest that leaves the triplet without a violation: the nearest
    negative beyond the chosen positive, or the farthest positive before the chosen
    negative. An anchor that lacks one of the two is dropped, unless either is "all".
    """
    d = euclidean(x, y, measure == "directions").numpy(force=True)
    if measure == "products":
        d = -compare(x, y, "dot").numpy(force=True)
    positive, negative = (np.zeros_like(relations.positive) for _ in range(2))
    for i in range(len(x)):
        p, n = relations.of(i)
        if positives in ("easy", "hard"):
            p = choose(d[i], p, farthest=positives == "hard")
        if negatives == "semihard":
            n = n[d[i, n] > d[i, p[0]]] if len(p) else n[:0]
        if negatives in ("easy", "hard", "semihard"):
            n = choose(d[i], n, farthest=negatives == "easy")
        if positives == "semihard":
            p = p[d[i, p] < d[i, n[0]]] if len(n) else p[:0]
            p = choose(d[i], p, farthest=True)
        if "all" in (positives, negatives) or (len(p) and len(n)):
            positive[i, p], negative[i, n] = True, True
    return relations._replace(positive=positive, negative=negative)


def batch_hard(x, y, relations, measure="directions"):
    """Hermans 2017: the farthest positive and the nearest negative."""
    return easy_hard(x, y, relations, "hard", "hard", measure)


def distance_weights(
    x, y, relations, cutoff, nonzero_loss_cutoff, measure="directions"
):
    """Wu 2017: how probable each negative is to be drawn, [B, N].

    1 / q(d), q(d) = d^(D - 2) (1 - d^2 / 4)^((D - 3) / 2), of distances that are raised
    to `cutoff`; nothing beyond `nonzero_loss_cutoff`. A row without a choice is 0.
    """
    d = euclidean(x, y, measure == "directions").numpy(force=True)
    d, dim = np.maximum(d, cutoff), x.shape[1]
    may = relations.negative & (d < nonzero_loss_cutoff)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = (2 - dim) * np.log(d) - (dim - 3) / 2 * np.log(1 - d**2 / 4)
    logs = np.where(may, logs, -np.inf)
    top = logs.max(1, keepdims=True)
    weights = np.exp(logs - np.where(np.isfinite(top), top, 0))
    return weights / np.maximum(weights.sum(1, keepdims=True), 1e-300)
