"""The textbook losses as loops over pairs and triplets, in NumPy float64."""

import itertools

import numpy as np


def squared(x, i, j):
    return float(np.sum((x[i] - x[j]) ** 2))


def euclidean(x, i, j):
    """With the library's floor, which keeps the root's slope finite."""
    return max(squared(x, i, j), 1e-16) ** 0.5


def contrastive(x, labels, margin):
    terms = []
    for i, j in itertools.combinations(range(len(x)), 2):
        s = squared(x, i, j)
        if labels[i] == labels[j]:
            terms.append(s / 2)
        else:
            terms.append(max(0.0, margin - euclidean(x, i, j)) ** 2 / 2)
    return np.mean(terms) if terms else 0.0


def triplet(x, labels, margin, mining):
    terms = []
    everyone = range(len(x))
    for a, p in itertools.permutations(everyone, 2):
        negatives = [squared(x, a, n) for n in everyone if labels[n] != labels[a]]
        if labels[a] != labels[p] or not negatives:
            continue
        s = squared(x, a, p)
        beyond = [d for d in negatives if d > s]
        if mining == "hardest":
            mined = [min(negatives)]
        elif mining == "semi":
            mined = [min(beyond) if beyond else max(negatives)]
        else:
            mined = negatives
        terms += [max(0.0, s - d + margin) for d in mined]
    return np.mean(terms) if terms else 0.0


def lifted(x, labels, margin):
    everyone = range(len(x))
    repulsion = [
        sum(
            np.exp(margin - euclidean(x, i, n))
            for n in everyone
            if labels[n] != labels[i]
        )
        for i in everyone
    ]
    terms = []
    for i, j in itertools.combinations(everyone, 2):
        if labels[i] == labels[j]:
            total = repulsion[i] + repulsion[j]
            hinge = np.log(total) + euclidean(x, i, j) if total else 0.0
            terms.append(max(0.0, hinge) ** 2 / 2)
    return np.mean(terms) if terms else 0.0


PAPER = {
    "contrastive": contrastive,
    "triplet_hardest": lambda *args: triplet(*args, "hardest"),
    "triplet_semi": lambda *args: triplet(*args, "semi"),
    "triplet_all": lambda *args: triplet(*args, "all"),
    "lifted": lifted,
}
