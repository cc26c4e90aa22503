"""Losses of class weights."""

import math

import torch


def cosines(x, weights):
    """Of each item to the nearest center of each class; a row of zeros has 0."""
    weights = weights[:, None] if weights.ndim == 2 else weights
    return torch.einsum("bd,ckd->bck", unit(x), unit(weights)).amax(2)


def unit(v):
    """Rows of length one; a row of zeros stays as it is, and has no gradient."""
    length = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    return torch.where(length > 1e-12, v / torch.where(length > 1e-12, length, 1), 0)


def margin_softmax(x, weights, labels, where, scale, angular=0.0, additive=0.0):
    """Deng 2019: cross entropy with the own angle moved; each item's, by its place."""
    found = {}
    cosine = cosines(x, weights)
    angular, additive = (
        torch.as_tensor(v, dtype=x.dtype).expand(len(x)) for v in (angular, additive)
    )
    for i in range(len(x)):
        if not where[i] or not 0 <= labels[i] < len(weights):
            continue
        own, m = cosine[i, labels[i]], angular[i]
        angle = torch.acos(own) + m
        moved = own - m * torch.sin(m)
        if angle < math.pi:
            moved = own * torch.cos(m) - torch.sqrt(1 - own**2) * torch.sin(m)
        z = scale * cosine[i]
        z = torch.cat([z[: labels[i]], z[labels[i] + 1 :]])
        own = scale * (moved - additive[i])
        found[i] = torch.logsumexp(torch.cat([z, own[None]]), 0) - own
        if len(weights) == 1:
            found[i] = 0 * own
    return found
