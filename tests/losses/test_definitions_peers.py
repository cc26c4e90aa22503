"""The definitions against PyTorch Metric Learning, where both define the same.

Where it is inexact or wrong it is given what it does right: logits that its softplus
does not cut, no duplicates, for AngularLoss unit vectors.
"""

from functools import partial

import numpy as np
import pytest
import torch

from tests.losses.definitions import (
    DEFINITIONS,
    PATTERNS,
    SIZE,
    VIEWS,
    make_batch,
    reduce,
    relate,
)
from tests.parity import assert_close

P = pytest.importorskip("pytorch_metric_learning.losses")
D = pytest.importorskip("pytorch_metric_learning.distances")
R = pytest.importorskip("pytorch_metric_learning.reducers")

pytestmark = pytest.mark.filterwarnings("ignore:Using a non-tuple sequence")
every_pattern = pytest.mark.parametrize("pattern", PATTERNS)


def raw(distance):
    return {"distance": distance(normalize_embeddings=False)}


def triplet_margin(**options):
    distance = D.LpDistance(normalize_embeddings=False, power=2)
    reducer = R.MeanReducer()
    return P.TripletMarginLoss(0.5, distance=distance, reducer=reducer, **options)


# The numbers of a definition, and PML's loss with the same.
PEERS = {
    "angular": ({"angle": np.radians(40)}, P.AngularLoss(40)),
    "circle": ({"margin": 0.3, "gamma": 5.0}, P.CircleLoss(0.3, 5)),
    "fast_ap": ({"bins": 7}, P.FastAPLoss(7)),
    "generalized_lifted": (
        {"pos_margin": 0.1, "neg_margin": 0.8},
        P.GeneralizedLiftedStructureLoss(pos_margin=0.1, neg_margin=0.8),
    ),
    "intra_pair_variance": (
        {"pos_epsilon": 0.02, "neg_epsilon": 0.05},
        P.IntraPairVarianceLoss(0.02, 0.05),
    ),
    "lifted": (
        {"margin": 0.7},
        P.LiftedStructureLoss(neg_margin=0.7, **raw(D.LpDistance)),
    ),
    "multi_similarity": (
        {"alpha": 2.0, "beta": 40.0, "base": 0.4},
        P.MultiSimilarityLoss(2, 40, 0.4),
    ),
    "n_pairs": ({}, P.NPairsLoss()),
    "nca": ({"scale": 3.0}, P.NCALoss(3)),
    "ntxent": ({"temperature": 0.2}, P.NTXentLoss(0.2)),
    "pnp": (
        {"temperature": 0.05, "alpha": 1.5, "b": 3.0, "variant": "O"},
        P.PNPLoss(anneal=0.05),
    ),
    "ranked_list": (
        {
            "margin": 0.4,
            "alpha": 1.2,
            "positive_temperature": 2.0,
            "negative_temperature": 4.0,
            "imbalance": 0.3,
            "epsilon": SIZE * 1e-5,
        },
        P.RankedListLoss(margin=0.4, Tn=4, Tp=2, alpha=1.2, imbalance=0.3),
    ),
    "supcon": ({"temperature": 0.2}, P.SupConLoss(0.2)),
    "triplet": ({"margin": 0.5}, triplet_margin()),
    "triplet smooth": (
        {"margin": 0.5, "smooth": True},
        triplet_margin(smooth_loss=True),
    ),
    "triplet swap": ({"margin": 0.5, "swap": True}, triplet_margin(swap=True)),
    "threshold_consistent_margin": (
        {
            "pos_threshold": 0.9,
            "neg_threshold": 0.1,
            "pos_weight": 2.0,
            "neg_weight": 0.5,
        },
        P.ThresholdConsistentMarginLoss(2, 0.5, 0.9, 0.1),
    ),
    "tuplet_margin": (
        {"margin": 0.1, "scale": 9.0},
        P.TupletMarginLoss(np.degrees(0.1), 9),
    ),
    "histogram": ({"bins": 20}, P.HistogramLoss(20)),
}
for variant in ("Ds", "Dq", "Iu", "Ib"):
    PEERS[f"pnp {variant}"] = (
        PEERS["pnp"][0] | {"variant": variant},
        P.PNPLoss(b=3, alpha=1.5, anneal=0.05, variant=variant),
    )
# PML counts only negative pairs of an item that has a positive.
ONLY = {"histogram": ("4 a class", "two views", "random")}
REFERENCES = (
    "circle",
    "generalized_lifted",
    "intra_pair_variance",
    "multi_similarity",
    "nca",
    "ntxent",
    "supcon",
    "tuplet_margin",
)


def value_and_grads(loss, *arrays):
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    value = loss(*tensors)
    grads = torch.autograd.grad(value, tensors, allow_unused=True)
    return value.item(), *(
        np.zeros(a.shape) if g is None else g.numpy()
        for g, a in zip(grads, arrays, strict=True)
    )


def define(name, relations, numbers, x, y=None, reduction="mean"):
    numbers = {
        k: torch.tensor(v, dtype=torch.float64) if isinstance(v, float) else v
        for k, v in numbers.items()
    }
    found = DEFINITIONS[name](x, x if y is None else y, relations, **numbers)
    return reduce(found, reduction, len(x)) if isinstance(found, list) else found


def assert_equal(found, expected, label):
    # PML's bins lie at numbers in float32.
    limit = 1e-5 if label.startswith("histogram") else 1e-10
    for what, one, other in zip(("value", "gradient"), found, expected, strict=False):
        if np.max(np.abs(other)) < 1e-14:
            assert np.max(np.abs(one)) < 1e-13
        else:
            assert_close(one, other, limit, label=f"{what} of {label}")


@pytest.mark.parametrize(
    ("case", "pattern"),
    [(case, pattern) for case in PEERS for pattern in ONLY.get(case, PATTERNS)],
)
def test_definitions_are_those_of_pytorch_metric_learning(case, pattern):
    name, (numbers, peer) = case.partition(" ")[0], PEERS[case]
    labels = PATTERNS[pattern]
    x = make_batch(labels)
    if name == "angular":  # PML leaves the negatives as they are
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    found = value_and_grads(partial(define, name, relate(labels), numbers), x)
    expected = value_and_grads(lambda t: peer(t, torch.tensor(labels)), x)
    if name == "angular":  # by directions
        found, expected = (
            (v, g - (g * x).sum(1, keepdims=True) * x) for v, g in (found, expected)
        )
    assert_equal(found, expected, f"{case}, {pattern}")


@pytest.mark.parametrize("name", REFERENCES)
def test_definitions_take_references_as_pytorch_metric_learning_does(name):
    numbers, peer = PEERS[name]
    labels, others = PATTERNS["random"], np.arange(9) % 4
    x, y = make_batch(labels), make_batch(others, seed=2)
    relations = relate(labels, others)
    found = value_and_grads(partial(define, name, relations, numbers), x, y)
    kinds = torch.tensor(labels), torch.tensor(others)
    expected = value_and_grads(
        lambda t, u: peer(t, kinds[0], ref_emb=u, ref_labels=kinds[1]), x, y
    )
    assert_equal(found, expected, name)
    assert_close(found[2], expected[2], 1e-10, label=f"references' gradient of {name}")


@every_pattern
@pytest.mark.parametrize("per_class", [False, True])
def test_the_margin_loss_is_that_of_pytorch_metric_learning(pattern, per_class):
    """Whose beta is in float32: here it is a number that float32 has."""
    labels = PATTERNS[pattern]
    x, beta = make_batch(labels), np.array(1.25)
    peer = P.MarginLoss(
        0.2, nu=0.3, beta=1.25, learn_beta=True, num_classes=103 if per_class else None
    )
    if per_class:
        beta = np.full(103, 1.25)
    numbers = {"margin": 0.2, "nu": 0.3}

    def loss(t, beta):
        return define("margin", relate(labels), numbers | {"beta": beta}, t)

    found = value_and_grads(loss, x, beta)
    t = torch.tensor(x, requires_grad=True)
    peer(t, torch.tensor(labels)).backward()
    value = peer(t, torch.tensor(labels)).item()
    if peer.beta.grad is None:
        assert value == found[0] == 0
        return
    assert_close(found[0], value, 1e-7, label="value")  # nu beta is in float32
    assert_close(found[1], t.grad.numpy(), 1e-10, label="gradient")
    by_beta = peer.beta.grad.numpy()
    assert_close(found[2], by_beta if per_class else by_beta[0], 1e-5, label="beta")


def test_smooth_ap_is_that_of_pytorch_metric_learning_where_that_is_right():
    """With as many classes as items a class; and it computes in float32."""
    labels = np.arange(16) // 4
    numbers = {"temperature": 0.05, "include_anchor": True}
    x = make_batch(labels)
    found = value_and_grads(partial(define, "smooth_ap", relate(labels), numbers), x)
    peer = P.SmoothAPLoss(0.05)
    expected = value_and_grads(lambda t: peer(t, torch.tensor(labels)), x)
    assert_close(found[0], expected[0], 1e-6, label="value")
    assert_close(found[1], expected[1], 1e-5, label="gradient")


def test_vicreg_is_that_of_pytorch_metric_learning():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 9, 5))
    numbers = {"invariance": 3.0, "variance": 7.0, "covariance": 2.0, "eps": 1e-3}
    found = value_and_grads(partial(VIEWS["vicreg"], **numbers), x, y)
    peer = P.VICRegLoss(3, 7, 2, 1e-3)
    expected = value_and_grads(lambda t, u: peer(t, ref_emb=u), x, y)
    assert_equal(found, expected, "vicreg")
    assert_close(found[2], expected[2], 1e-10, label="second gradient of vicreg")


REDUCERS = {"nonzero": R.AvgNonZeroReducer, "sum": R.SumReducer}
REDUCED = {
    "multi_similarity": P.MultiSimilarityLoss,
    "generalized_lifted": P.GeneralizedLiftedStructureLoss,
    "ntxent": P.NTXentLoss,
    "tuplet_margin": P.TupletMarginLoss,
    "nca": P.NCALoss,
    "supcon": P.SupConLoss,
    "circle": P.CircleLoss,
    "intra_pair_variance": P.IntraPairVarianceLoss,
}
OF_PEERS = {
    "multi_similarity": {"alpha": 2.0, "beta": 50.0, "base": 0.5},
    "generalized_lifted": {"pos_margin": 0.0, "neg_margin": 1.0},
    "ntxent": {"temperature": 0.07},
    "tuplet_margin": {"margin": float(np.radians(5.73)), "scale": 64.0},
    "nca": {"scale": 1.0},
    "supcon": {"temperature": 0.1},
    "circle": {"margin": 0.4, "gamma": 80.0},
    "intra_pair_variance": {"pos_epsilon": 0.01, "neg_epsilon": 0.01},
}


@pytest.mark.parametrize("reduction", REDUCERS)
@pytest.mark.parametrize("name", REDUCED)
def test_reductions_are_those_of_pytorch_metric_learning(name, reduction):
    """Of softplus, which it cuts at 20, to 1e-8 alone."""
    labels = PATTERNS["some alone"]
    peer = REDUCED[name](reducer=REDUCERS[reduction]())
    x = make_batch(labels)
    relations = relate(labels)
    numbers = OF_PEERS[name]
    found = value_and_grads(
        partial(define, name, relations, numbers, reduction=reduction), x
    )
    expected = value_and_grads(lambda t: peer(t, torch.tensor(labels)), x)
    assert_close(found[0], expected[0], 1e-8 if name == "circle" else 1e-10, label=name)
