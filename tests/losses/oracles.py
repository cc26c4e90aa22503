"""The losses as loops over pairs and triplets, in NumPy float64.

Of the items the first `batch` are anchors, all by default; the rest are a memory, and
pairs within it do not count.
"""

import itertools
from functools import partial

import numpy as np


def squared(x, i, j):
    return float(np.sum((x[i] - x[j]) ** 2))


def euclidean(x, i, j):
    """With the library's floor, which keeps the root's slope finite."""
    return max(squared(x, i, j), 1e-16) ** 0.5


def pairs(x, batch):
    """The unordered pairs."""
    ends = itertools.combinations(range(len(x)), 2)
    return [(i, j) for i, j in ends if i < (batch or len(x))]


def mean(terms):
    return np.mean(terms) if terms else 0.0


def contrastive(x, labels, margin, batch=None):
    terms = []
    for i, j in pairs(x, batch):
        if labels[i] == labels[j]:
            terms.append(squared(x, i, j) / 2)
        else:
            terms.append(max(0.0, margin - euclidean(x, i, j)) ** 2 / 2)
    return mean(terms)


def original_contrastive(x, labels, margin, batch=None):
    terms = []
    for i, j in pairs(x, batch):
        s = squared(x, i, j)
        terms += [s] if labels[i] == labels[j] else [margin - s, margin]
    return mean([term for term in terms if term > 1e-16])


def triplet(x, labels, margin, batch=None, *, mining, original=False):
    terms, everyone = [], range(len(x))
    for a, p in itertools.product(range(batch or len(x)), everyone):
        negatives = [squared(x, a, n) for n in everyone if labels[n] != labels[a]]
        if labels[a] != labels[p] or (a == p and not original):
            continue
        s = squared(x, a, p)
        if not negatives:
            mined = [np.inf] if original and mining != "all" else []
        elif mining == "hardest":
            mined = [min(negatives)]
        elif mining == "semi":
            mined = [min([d for d in negatives if d > s], default=max(negatives))]
        else:
            mined = negatives
        terms += [max(0.0, s - d + margin) for d in mined]
    return mean(terms)


def lifted(x, labels, margin, batch=None, *, original=False):
    batch = batch or len(x)

    def repulsion(i):
        return sum(
            np.exp(margin - euclidean(x, i, n))
            for n in range(len(x))
            if labels[n] != labels[i] and min(i, n) < batch
        )

    # Of a pair of the batch the original counts both orders, and each item with itself.
    alone = [(i, i) for i in range(batch)] if original else []
    terms, weights = [], []
    for i, j in pairs(x, batch) + alone:
        if labels[i] == labels[j]:
            total = repulsion(i) + repulsion(j)
            hinge = np.log(total) + euclidean(x, i, j) if total else 0.0
            terms.append(max(0.0, hinge) ** 2 / 2)
            weights.append(1 if i != j else 1 / 2)
    return np.average(terms, weights=weights) if terms else 0.0


def multi_similarity(x, labels, alpha, beta, base, batch=None):
    """A row of zeros stays one."""
    unit = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    terms = []
    for i in range(batch or len(x)):
        s = unit @ unit[i]
        negative, self = labels != labels[i], np.arange(len(x)) == i
        attract = np.exp(-alpha * (s - base))[~negative & ~self].sum()
        repel = np.exp(beta * (s - base))[negative].sum()
        terms.append(np.log(1 + attract) / alpha + np.log(1 + repel) / beta)
    return mean(terms)


TRIPLETS = {
    f"triplet_{mining}": partial(triplet, mining=mining)
    for mining in ("hardest", "semi", "all")
}
PAPER = {
    "contrastive": contrastive,
    **TRIPLETS,
    "lifted": lifted,
    "multi_similarity": multi_similarity,
}
ORIGINAL = {
    "contrastive": original_contrastive,
    **{name: partial(loss, original=True) for name, loss in TRIPLETS.items()},
    "lifted": partial(lifted, original=True),
}
