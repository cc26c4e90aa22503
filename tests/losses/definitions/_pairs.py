"""Losses of pairs, and of sums over an anchor's pairs."""

import numpy as np
import torch

from ._relations import Term, compare, euclidean, squared


def log_sum(*numbers, weights=None):
    """log of the weighted sum of exponentials; -inf of none."""
    numbers = torch.cat([n.reshape(-1) for n in numbers])
    if not len(numbers):
        return torch.tensor(-torch.inf, dtype=torch.float64)
    logs = torch.zeros(()) if weights is None else weights.log()
    return torch.logsumexp(numbers + logs, 0)


def log1p_sum(*numbers, weights=None):
    """log(1 + the weighted sum of exponentials), exact however small the sum is."""
    zero = torch.zeros((), dtype=torch.float64)
    return torch.logaddexp(zero, log_sum(*numbers, weights=weights))


def unordered(relations, mask):
    """The pairs in a mask, and 1/2 for a pair of two anchors, which stands twice."""
    for i, j in np.argwhere(mask):
        yield i, j, 0.5 if j < relations.shared else 1.0


def contrastive(x, y, relations, margin):
    """Hadsell 2006. Its mean is over all pairs; "nonzero" is of each kind."""
    squares, distances = squared(x, y), euclidean(x, y)
    terms = []
    for i, p, share in unordered(relations, relations.positive):
        value = relations.weight[i, p] * squares[i, p] / 2
        terms.append(Term(share * value, i, share, part=0))
    for i, n, share in unordered(relations, relations.negative):
        value = torch.relu(margin - distances[i, n]) ** 2 / 2
        terms.append(Term(share * value, i, share, part=1))
    return terms


def lifted(x, y, relations, margin):
    """Song 2016. Both ends of a pair bring their negatives among the pairs made."""
    distances, terms = euclidean(x, y), []
    for i, p, share in unordered(relations, relations.positive):
        near = margin - distances[i, relations.negative[i]]
        if p < relations.shared:
            far = margin - distances[p, relations.negative[p]]
        else:  # no anchor: the batch is all that it meets
            far = margin - distances[relations.negative[:, p], p]
        hinge = distances[i, p] * 0
        if len(near) + len(far):
            hinge = torch.relu(log_sum(near, far) + distances[i, p])
        value = relations.weight[i, p] * hinge**2 / 2
        terms.append(Term(share * value, i, share))
    return terms


def multi_similarity(x, y, relations, alpha, beta, base, similarity="cosine"):
    """Wang 2019, over all anchors."""
    s, terms = compare(x, y, similarity), []
    for i in np.flatnonzero(relations.valid):
        p, n = relations.of(i)
        attract = log1p_sum(-alpha * (s[i, p] - base), weights=relations.weights(i))
        repel = log1p_sum(beta * (s[i, n] - base))
        terms.append(Term(attract / alpha + repel / beta, i))
    return terms


def supcon(
    x,
    y,
    relations,
    temperature,
    hardness=0.0,
    positives="outside",
    denominator="all",
    similarity="cosine",
    guide=None,
    reference_guide=None,
):
    """Khosla 2020, (2) "outside" and (3) "inside" the logarithm.

    In the denominator stand all pairs of the anchor; the negatives and the one positive
    of the numerator (n-pairs, InfoNCE); or only the negatives (decoupled, Yeh 2022).
    A weight is a factor of its positive's term, not of what stands in the denominator.
    With `hardness` negatives are weighted by e^(hardness s), on average by 1 (Robinson
    2021). A `guide` leaves out negatives that it finds more alike than each of the
    anchor's positives (Solatorio 2024); it knows nothing of what follows its rows.
    Weights are those of the numerators.
    """
    s, terms = compare(x, y, similarity), []
    for i in range(len(x)):
        p, n = relations.of(i)
        if guide is not None and len(p):
            theirs = guide if reference_guide is None else reference_guide
            told = compare(guide, theirs).numpy(force=True)[i]
            best = max((told[j] for j in p if j < len(told)), default=np.inf)
            n = np.array([j for j in n if j >= len(told) or told[j] <= best], int)
        if not len(p) or (denominator == "negatives" and not len(n)):
            continue
        weights = relations.weights(i)
        near, far = s[i, p] / temperature, s[i, n] / temperature
        if len(n):
            hard = hardness * s[i, n]
            far = far + hard - torch.logsumexp(hard, 0) + np.log(len(n))
        if denominator == "all":
            below = torch.logaddexp(log_sum(near), log_sum(far))
        elif denominator == "one":
            below = torch.logaddexp(near, log_sum(far))
        else:
            below = log_sum(far)
        if positives == "outside":
            value = (weights * (below - near)).mean()
        elif denominator == "one":
            value = np.log(len(p)) - log_sum(near - below, weights=weights)
        else:  # with the same sums of exponentials, so that it can be exactly 0
            value = np.log(len(p)) + below - log_sum(near, weights=weights)
        terms.append(Term(value, i))
    return terms


def ntxent(x, y, relations, temperature, similarity="cosine"):
    """Sohn 2016, Chen 2020: a positive against the anchor's negatives."""
    s, terms = compare(x, y, similarity) / temperature, []
    for i, p in np.argwhere(relations.positive):
        far = s[i, relations.negative[i]]
        value = log1p_sum(far - s[i, p])
        terms.append(Term(relations.weight[i, p] * value, i))
    return terms


def circle(x, y, relations, margin, gamma):
    """Sun 2020. The weights alpha pass no gradient to similarities."""
    s, terms = compare(x, y), []
    for i in range(len(x)):
        p, n = relations.of(i)
        if len(p) and len(n):
            near, far = s[i, p], s[i, n]
            far = gamma * torch.relu(far.detach() + margin) * (far - margin)
            near = -gamma * torch.relu(1 + margin - near.detach()) * (near - 1 + margin)
            total = log_sum(far) + log_sum(near, weights=relations.weights(i))
            terms.append(Term(log1p_sum(total), i))
    return terms


def tuplet_margin(x, y, relations, margin, scale):
    """Yu 2019: log(1 + sum of e^(scale (cos of a negative - cos(theta - margin)))).

    The sine of theta is 0 where it is no more than rounding makes of coinciding items.
    """
    s, terms = compare(x, y), []
    floor = 16 * torch.finfo(s.dtype).eps
    for i, p in np.argwhere(relations.positive):
        square = 1 - s[i, p] ** 2
        sine = torch.sqrt(square) if square > floor else 0
        near = s[i, p] * torch.cos(margin) + sine * torch.sin(margin)
        far = s[i, relations.negative[i]]
        value = log1p_sum(scale * (far - near))
        terms.append(Term(relations.weight[i, p] * value, i))
    return terms


def cosent(x, y, relations, scale):
    """Su 2022: every positive pair of the batch against every negative pair."""
    s = compare(x, y)
    weights = torch.tensor(relations.weight[relations.positive])
    near, far = s[relations.positive], s[relations.negative]
    return log1p_sum(
        scale * (far[:, None] - near), weights=weights.repeat(len(far), 1).reshape(-1)
    )


def generalized_lifted(x, y, relations, pos_margin, neg_margin, normalized=True):
    """Hermans 2017, (8), over all anchors; the log-sum of no pair is 0."""
    d, terms = euclidean(x, y, normalized), []
    for i in np.flatnonzero(relations.valid):
        p, n = relations.of(i)
        total = torch.zeros((), dtype=torch.float64)
        if len(p):
            total = total + log_sum(d[i, p] - pos_margin, weights=relations.weights(i))
        if len(n):
            total = total + log_sum(neg_margin - d[i, n])
        terms.append(Term(torch.relu(total), i))
    return terms


def nca(x, y, relations, scale, normalized=True):
    """Goldberger 2004, Frosst 2019: the share of an anchor's class in its softmax."""
    s, terms = squared(x, y, normalized), []
    for i in range(len(x)):
        p, n = relations.of(i)
        if len(p):
            near = log_sum(-scale * s[i, p], weights=relations.weights(i))
            terms.append(
                Term(torch.logaddexp(near, log_sum(-scale * s[i, n])) - near, i)
            )
    return terms


def threshold_consistent_margin(
    x, y, relations, pos_threshold, neg_threshold, pos_weight, neg_weight
):
    """Zhang 2024: the means over the pairs on the wrong side of their threshold."""
    s, terms = compare(x, y), []
    for i, j in np.argwhere(
        relations.positive & (s <= pos_threshold).numpy(force=True)
    ):
        value = relations.weight[i, j] * (pos_threshold - s[i, j])
        terms.append(Term(pos_weight * value, i, part=0))
    for i, j in np.argwhere(
        relations.negative & (s >= neg_threshold).numpy(force=True)
    ):
        terms.append(Term(neg_weight * (s[i, j] - neg_threshold), i, part=1))
    return terms


def intra_pair_variance(x, y, relations, pos_epsilon, neg_epsilon):
    """Yu 2020: how far similarities are on the wrong side of their means."""
    s, terms = compare(x, y), []
    near = s[relations.positive].mean()
    for i, p in np.argwhere(relations.positive):
        value = torch.relu((1 - pos_epsilon) * near - s[i, p]) ** 2
        terms.append(Term(relations.weight[i, p] * value, i, part=0))
    far = s[relations.negative].mean()
    for i, n in np.argwhere(relations.negative):
        value = torch.relu(s[i, n] - (1 + neg_epsilon) * far) ** 2
        terms.append(Term(value, i, part=1))
    return terms
