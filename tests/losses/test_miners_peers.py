"""The definitions of miners against PyTorch Metric Learning."""

import numpy as np
import pytest
import torch

from tests.losses.definitions import (
    MINERS,
    PATTERNS,
    distance_weights,
    make_batch,
    relate,
    triplets,
)

M = pytest.importorskip("pytorch_metric_learning.miners")

every_pattern = pytest.mark.parametrize("pattern", PATTERNS)

MINED = {
    "multi_similarity": ({"epsilon": 0.1}, M.MultiSimilarityMiner(0.1)),
    "pair_margin": (
        {"pos_margin": 0.6, "neg_margin": 1.2},
        M.PairMarginMiner(0.6, 1.2),
    ),
    "batch_hard": ({}, M.BatchHardMiner()),
}
for kind in ("all", "hard", "semihard", "easy"):
    MINED[f"triplet_margin {kind}"] = (
        {"margin": 0.2, "kind": kind},
        M.TripletMarginMiner(0.2, kind),
    )
WORDS = ("easy", "hard", "semihard", "all")
for one in WORDS:
    for other in WORDS:
        if not ("semihard" in (one, other) and (one == other or "all" in (one, other))):
            MINED[f"easy_hard {one} {other}"] = (
                {"positives": one, "negatives": other},
                M.BatchEasyHardMiner(one, other),
            )


def as_masks(indices, shape):
    positives, negatives = (np.zeros(shape, bool) for _ in range(2))
    if len(indices) == 3:
        indices = indices[0], indices[1], indices[0], indices[2]
    a, p, b, n = (i.numpy() for i in indices)
    positives[a, p], negatives[b, n] = True, True
    return positives, negatives


@every_pattern
@pytest.mark.parametrize("with_references", [False, True])
@pytest.mark.parametrize("case", MINED)
def test_miners_are_those_of_pytorch_metric_learning(case, with_references, pattern):
    numbers, peer = MINED[case]
    labels, others = PATTERNS[pattern], PATTERNS["random"][:9]
    x = torch.tensor(make_batch(labels))
    y, relations, rest = x, relate(labels), ()
    if with_references:
        y, relations = torch.tensor(make_batch(others, seed=2)), relate(labels, others)
        rest = y, torch.tensor(others)
    found = MINERS[case.partition(" ")[0]](x, y, relations, **numbers)
    expected = as_masks(peer(x, torch.tensor(labels), *rest), found.positive.shape)
    np.testing.assert_array_equal(found.positive, expected[0])
    np.testing.assert_array_equal(found.negative, expected[1])


@pytest.mark.parametrize("kind", ["all", "hard", "semihard", "easy"])
def test_mined_triplets_are_those_of_pytorch_metric_learning(kind):
    labels = PATTERNS["random"]
    x = torch.tensor(make_batch(labels))
    expected = M.TripletMarginMiner(0.2, kind)(x, torch.tensor(labels))
    found = triplets(x, x, relate(labels), 0.2, kind)
    expected = zip(*(e.tolist() for e in expected), strict=True)
    assert {tuple(t) for t in np.argwhere(found)} == set(expected)


def test_negatives_are_drawn_as_often_as_by_pytorch_metric_learning():
    torch.manual_seed(0)
    labels = PATTERNS["4 a class"]
    x = torch.tensor(make_batch(labels))
    numbers = {"cutoff": 0.5, "nonzero_loss_cutoff": 1.3}
    weights = distance_weights(x, x, relate(labels), **numbers)
    counts = np.zeros_like(weights)
    for _ in range(500):
        a, _, n = M.DistanceWeightedMiner(**numbers)(x, torch.tensor(labels))
        np.add.at(counts, (a.numpy(), n.numpy()), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    error = np.sqrt(weights * (1 - weights) / 2000)
    assert np.all(np.abs(shares - weights) <= 5 * error + 1e-9)
