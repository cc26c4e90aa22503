"""Definitions that PyTorch Metric Learning lacks, beside what they are in the limit."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import average_precision_score

from tests.losses.definitions import (
    DEFINITIONS,
    PATTERNS,
    SIZE,
    make_batch,
    reduce,
    relate,
    relate_by_numbers,
)

LABELS = PATTERNS["random"]
X = torch.tensor(make_batch(LABELS))
S = F.normalize(X) @ F.normalize(X).T


def value(name, relations=None, y=X, **numbers):
    relations = relate(LABELS) if relations is None else relations
    found = DEFINITIONS[name](X, y, relations, **numbers)
    return float(reduce(found, "mean", SIZE) if isinstance(found, list) else found)


def rankings():
    """Of each anchor with a positive: which items are positives, and similarities."""
    for i in range(SIZE):
        others = np.arange(SIZE) != i
        same = (LABELS == LABELS[i])[others]
        if same.any():
            yield same, S[i].numpy()[others]


def test_smooth_ap_becomes_average_precision():
    precisions = [average_precision_score(*ranking) for ranking in rankings()]
    found = value("smooth_ap", temperature=1e-9)
    assert found == pytest.approx(1 - np.mean(precisions), abs=1e-9)


def test_the_recall_loss_becomes_recall():
    """A soft step is at its middle at k itself: ranks below k + 1/2 count."""
    ks, expected = (1.5, 2.5, 5.5), []
    for same, s in rankings():
        ranked = same[np.argsort(-s)]
        recalls = [ranked[: int(k)].sum() / min(k, same.sum()) for k in ks]
        expected.append(1 - np.mean(recalls))
    found = value("recall_at_k", temperature=1e-9, rank_temperature=1e-9, ks=ks)
    assert found == pytest.approx(np.mean(expected), abs=1e-9)


def test_one_positive_each_makes_one_loss_of_several():
    """NT-Xent, SupCon of all its options but one, and a softmax with targets."""
    labels = np.tile(np.arange(SIZE // 2), 2)
    relations, s = relate(labels), S / 0.2
    s = s.masked_fill(torch.eye(SIZE, dtype=torch.bool), -torch.inf)
    target = (torch.arange(SIZE) + SIZE // 2) % SIZE
    expected = float(F.cross_entropy(s, target))
    assert value("ntxent", relations, temperature=0.2) == pytest.approx(expected)
    for words in (
        {"positives": "outside"},
        {"positives": "inside"},
        {"denominator": "one"},
        {"denominator": "one", "positives": "inside"},
    ):
        found = value("supcon", relations, temperature=0.2, **words)
        assert found == pytest.approx(expected), words
    s[torch.arange(SIZE), target] = -torch.inf
    decoupled = float(
        (torch.logsumexp(s, 1) - S[torch.arange(SIZE), target] / 0.2).mean()
    )
    found = value("supcon", relations, temperature=0.2, denominator="negatives")
    assert found == pytest.approx(decoupled)


def test_equal_negatives_have_no_hardness():
    y = torch.cat([X[:1], X[1:2], X[1:2]])
    relations = relate(np.zeros(SIZE, int), np.array([0, 1, 1]))
    plain = value("supcon", relations, y, temperature=0.2)
    hard = value("supcon", relations, y, temperature=0.2, hardness=3.0)
    assert hard == pytest.approx(plain)


def test_clip_and_siglip_are_cross_entropies():
    y = torch.tensor(make_batch(LABELS, seed=5))
    relations = relate(np.arange(SIZE), np.arange(SIZE))
    s = 7 * F.normalize(X) @ F.normalize(y).T
    target = torch.arange(SIZE)
    expected = (F.cross_entropy(s, target) + F.cross_entropy(s.T, target)) / 2
    assert value("clip", relations, y, scale=7.0) == pytest.approx(float(expected))
    binary = F.binary_cross_entropy_with_logits(
        s - 3, torch.eye(SIZE, dtype=torch.float64), reduction="sum"
    )
    found = value("siglip", relations, y, scale=7.0, bias=-3.0)
    assert found == pytest.approx(float(binary) / SIZE)


def test_cosent_sums_over_pairs_of_pairs():
    near = [S[i, j] for i, j in np.argwhere(relate(LABELS).positive)]
    far = [S[i, j] for i, j in np.argwhere(relate(LABELS).negative)]
    total = sum(float(torch.exp(3 * (f - n))) for n in near for f in far)
    assert value("cosent", scale=3.0) == pytest.approx(float(np.log(1 + total)))


@pytest.mark.parametrize("name", ["multi_similarity", "nca", "circle", "cosent"])
def test_a_weight_of_two_is_a_positive_that_stands_twice(name):
    """In a sum of exponentials."""
    numbers = {
        "multi_similarity": {"alpha": 2.0, "beta": 9.0, "base": 0.5},
        "nca": {"scale": 2.0},
        "circle": {"margin": 0.3, "gamma": 4.0},
        "cosent": {"scale": 2.0},
    }[name]
    y = torch.tensor(make_batch(LABELS[:6], seed=4))
    related = (LABELS[:, None] == LABELS[:6]).astype(float)
    twice = np.concatenate([related, related], axis=1)
    twice[:, 6:][related == 0] = -1
    weighed = value(name, relate_by_numbers(2 * related), y, **numbers)
    repeated = value(name, relate_by_numbers(twice), torch.cat([y, y]), **numbers)
    assert weighed == pytest.approx(repeated)
