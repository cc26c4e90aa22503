"""Losses of class weights: of each item that counts, by its place."""

import itertools
import math

import torch


def cosines(x, weights):
    """Of each item to each center of each class; a row of zeros has 0."""
    weights = weights[:, None] if weights.ndim == 2 else weights
    return torch.einsum("bd,ckd->bck", unit(x), unit(weights))


def unit(v):
    """Rows of length one; a row of zeros stays as it is, and has no gradient."""
    length = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    return torch.where(length > 1e-12, v / torch.where(length > 1e-12, length, 1), 0)


def softmax(similarity, labels, where, scale, move, smoothing=0.0):
    """Cross entropy with the own class's similarity moved: move(it, place)."""
    found, classes = {}, similarity.shape[1]
    for i, label in enumerate(labels):
        if where[i] and 0 <= label < classes:
            moved = similarity[i].clone()
            moved[label] = move(similarity[i, label], i)
            log_shares = torch.log_softmax(scale * moved, 0)
            own, alike = log_shares[label], log_shares.mean()
            found[i] = -(1 - smoothing) * own - smoothing * alike
    return found


def turned(cosine, angle):
    """The cosine of an angle plus another; beyond pi it goes on falling."""
    if torch.acos(cosine) + angle < math.pi:
        return cosine * torch.cos(angle) - torch.sqrt(1 - cosine**2) * torch.sin(angle)
    return cosine - angle * torch.sin(angle)


def each(number, x):
    return torch.as_tensor(number, dtype=x.dtype).expand(len(x))


def margin_softmax(
    x, weights, labels, where, scale, angular=0.0, additive=0.0, label_smoothing=0.0
):
    """Deng 2019, with CosFace's margin beside ArcFace's."""
    angular, additive = each(angular, x), each(additive, x)

    def move(cosine, i):
        return turned(cosine, angular[i]) - additive[i]

    nearest = cosines(x, weights).amax(2)
    return softmax(nearest, labels, where, scale, move, label_smoothing)


def magface(
    x,
    weights,
    labels,
    where,
    scale,
    min_margin,
    max_margin,
    min_length,
    max_length,
    regularization,
):
    """Meng 2021."""
    low, high = min_length, max_length
    lengths = torch.linalg.vector_norm(x, dim=1)
    lengths = torch.maximum(torch.minimum(lengths, high), low)
    margins = min_margin + (max_margin - min_margin) * (lengths - low) / (high - low)
    found = margin_softmax(x, weights, labels, where, scale, margins)
    penalty = lengths / high**2 + 1 / lengths
    return {i: v + regularization * penalty[i] for i, v in found.items()}


def adaface(x, weights, labels, where, scale, margin, concentration, lengths=None):
    """Kim 2022; without lengths their mean and deviation are those of the batch."""
    cut = torch.linalg.vector_norm(x.detach(), dim=1).clip(1e-3, 100)
    known = cut[torch.as_tensor(where)]
    mean, deviation = lengths or (known.mean(), known.std())
    quality = (concentration * (cut - mean) / (deviation + 1e-3)).clip(-1, 1)

    def move(cosine, i):
        angle = torch.acos(cosine) - margin * quality[i]
        return torch.cos(angle.clip(0, math.pi)) - margin * (1 + quality[i])

    return softmax(cosines(x, weights).amax(2), labels, where, scale, move)


def elasticface(x, weights, labels, where, scale, margin, deviation, draw, kind, plus):
    """Boutros 2022, with draws of the normal distribution."""
    nearest = cosines(x, weights).amax(2)
    if plus:
        valid = [i for i, y in enumerate(labels) if where[i] and 0 <= y < len(weights)]
        near_first = sorted(valid, key=lambda i: -nearest[i, labels[i]])
        by_place = dict(zip(near_first, sorted(draw[valid]), strict=True))
        draw = [by_place.get(i, 0.0) for i in range(len(x))]

    def move(cosine, i):
        moved = margin + deviation * draw[i]
        return turned(cosine, moved) if kind == "angular" else cosine - moved

    return softmax(nearest, labels, where, scale, move)


def soft_triple(x, weights, labels, where, scale, gamma, margin, regularization):
    """Qian 2019."""
    cosine, margin = cosines(x, weights), each(margin, x)
    similarity = (torch.softmax(cosine / gamma, 2) * cosine).sum(2)
    found = softmax(similarity, labels, where, scale, lambda s, i: s - margin[i])
    if weights.ndim == 2 or weights.shape[1] == 1:
        return found
    classes, centers, _ = weights.shape
    apart = sum(
        torch.sqrt(2 + 1e-5 - 2 * unit(c)[k] @ unit(c)[j])
        for c in weights
        for k, j in itertools.combinations(range(centers), 2)
    )
    apart = apart / (classes * centers * (centers - 1))
    return {i: v + regularization * apart for i, v in found.items()}


def proxy_nca(x, proxies, labels, where, scale, own_in_denominator=False):
    """Movshovitz-Attias 2017; with the own proxy in the sum, Teh 2020."""
    found, classes = {}, range(len(proxies))
    exponents = -scale * ((unit(x)[:, None] - unit(proxies)) ** 2).sum(2)
    for i, label in enumerate(labels):
        others = [c for c in classes if c != label]
        if not where[i] or not len(classes):
            continue
        found[i] = 0 * exponents.sum()
        if label in classes and others:
            summed = list(classes) if own_in_denominator else others
            found[i] = torch.logsumexp(exponents[i, summed], 0) - exponents[i, label]
    return found


def proxy_anchor(x, proxies, labels, where, margin, alpha):
    """Kim 2020: a sum over classes, which is one number of the whole batch."""
    cosine, pull, push = cosines(x, proxies)[:, :, 0], [], []
    zero = torch.zeros(1, dtype=x.dtype)
    for c in range(len(proxies)):
        own = torch.tensor(where & (labels == c))
        other = torch.tensor(where & (labels != c))
        if own.any():
            pulled = torch.cat([zero, -alpha * (cosine[own, c] - margin)])
            pull.append(torch.logsumexp(pulled, 0))
        pushed = torch.cat([zero, alpha * (cosine[other, c] + margin)])
        push.append(torch.logsumexp(pushed, 0))
    return {0: sum(pull) / max(len(pull), 1) + sum(push) / len(push)}
