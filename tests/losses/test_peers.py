"""Losses beside those of other libraries.

TensorFlow Addons' are written anew in NumPy, as its tests define them. Those of
PyTorch Metric Learning are its own.
"""

from functools import partial

import jax
import numpy as np
import pytest
import torch

from jml.losses import (
    contrastive_loss,
    lifted_loss,
    multi_similarity_loss,
    triplet_loss,
)
from tests.parity import assert_close

pytestmark = pytest.mark.usefixtures("quick_compilation", "x64")


def batch(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, 16)
    return rng.normal(size=(16, 6)), labels, labels[:, None] == labels


def squares(x):
    return ((x[:, None] - x) ** 2).sum(axis=2)


def semi_hard(x, same, margin):
    """Each positive pair with the nearest negative beyond it, or else the farthest."""
    s, n, terms = squares(x), len(x), []
    for a in range(n):
        negatives = s[a][~same[a]]
        for p in np.flatnonzero(same[a] & (np.arange(n) != a)):
            beyond = negatives[negatives > s[a, p]]
            mined = beyond.min() if len(beyond) else negatives.max()
            terms.append(max(margin + s[a, p] - mined, 0))
    return np.mean(terms)


def lifted(x, same, margin):
    """Of each pair the smooth maximum over the negatives of both ends."""
    d, n, total, pairs = np.sqrt(squares(x)), len(x), 0.0, 0
    for i in range(n):
        for j in range(i + 1, n):
            if same[i, j]:
                ends = np.concatenate([d[i][~same[i]], d[j][~same[j]]])
                smooth = np.log(np.exp(margin - ends).sum())
                total += max(smooth + d[i, j], 0) ** 2
                pairs += 1
    return total / pairs / 2


def contrastive(x, same, margin):
    """The mean over pairs of y d^2 + (1 - y) max(m - d, 0)^2."""
    i, j = np.triu_indices(len(x), 1)
    d, y = np.sqrt(squares(x))[i, j], same[i, j]
    return np.mean(y * d**2 + (1 - y) * np.maximum(margin - d, 0) ** 2)


PEERS = {
    "triplet_semi": (partial(triplet_loss, mining="semi"), semi_hard),
    "lifted": (lifted_loss, lifted),
    # JML's formula, as the paper's, has a half before the squares.
    "contrastive": (lambda *a, **k: 2 * contrastive_loss(*a, **k), contrastive),
}


@pytest.mark.parametrize("margin", [0.5, 3.0])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", PEERS)
def test_losses_are_those_of_tensorflow_addons(name, seed, margin):
    loss, define = PEERS[name]
    x, labels, same = batch(seed)
    value = loss(x, labels, margin=margin, convention="paper")
    assert float(value) == pytest.approx(define(x, same, margin), rel=1e-12)


@pytest.mark.parametrize("numbers", [(2, 50, 0.5), (1.5, 7, 0.2)])
@pytest.mark.parametrize("classes", [1, 5, 100])
def test_multi_similarity_is_that_of_pytorch_metric_learning(classes, numbers):
    """Also of items without a positive or without a negative, and of duplicates."""
    peers = pytest.importorskip("pytorch_metric_learning.losses")
    rng = np.random.default_rng(classes)
    x, labels = rng.normal(size=(16, 6)), rng.integers(0, classes, 16)
    x[3] = x[4]
    numbers = dict(zip(("alpha", "beta", "base"), numbers, strict=True))
    value, grad = jax.value_and_grad(multi_similarity_loss)(x, labels, **numbers)
    inputs = torch.tensor(x, requires_grad=True)
    expected = peers.MultiSimilarityLoss(**numbers)(inputs, torch.tensor(labels))
    expected.backward()
    label = f"multi_similarity, {classes} classes"
    assert_close(value, expected.item(), 1e-13, label=label)
    assert_close(grad, inputs.grad.numpy(), 1e-12, label=f"gradient of {label}")
