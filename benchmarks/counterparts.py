"""What PyTorch has for each loss of JML, and how much faster JML is to be.

The peer is pytorch-metric-learning's (PML) loss with JML's defaults, where it has one.
SigLIP, CLIP and Barlow Twins it has not: these stand here in plain PyTorch, each the
few lines that its paper gives.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from math import degrees
from types import ModuleType
from typing import Any

MARGIN = 0.5  # of contrastive, triplets and lifted structure, on the unit sphere


@dataclass(frozen=True)
class Counterpart:
    """A peer of one loss.

    JML's loss of the same definition need not be the one that is timed: for triplets
    and lifted structure, JML's default is the convention of another code.
    """

    make: Callable[[Any, Any], Callable]  # of PML and the proxies
    _: KW_ONLY
    options: Mapping[str, Any] = field(default_factory=dict)  # of JML's function
    miner: Callable[[ModuleType], Callable] | None = None  # of jml.miners
    # What turns JML's loss into the peer's: none, these options, or nothing does.
    same: Mapping[str, Any] | None = field(default_factory=dict)
    same_gradient: bool = True
    plain: bool = False  # PyTorch alone
    largest: int | None = None  # batch; beyond it, the peer takes too much
    # How many times as fast as the peer JML is to be: at any size, or at some.
    goal: float | Mapping[int, float] = 3.0
    # The same of the peer under `torch.compile`; None where both do the same products.
    compiled_goal: float | None = 2.0

    def goal_at(self, size: int) -> float:
        """How many times as fast as the peer JML is to be with this batch."""
        if isinstance(self.goal, Mapping):
            return self.goal.get(size, 3.0)
        return self.goal


def _squared(pml):
    return pml.distances.LpDistance(normalize_embeddings=False, power=2)


def _contrastive(pml, _):
    mean = pml.reducers.MeanReducer()
    return pml.losses.ContrastiveLoss(0, MARGIN, distance=_squared(pml), reducer=mean)


def _triplets(pml, _):
    mean = pml.reducers.MeanReducer()
    return pml.losses.TripletMarginLoss(MARGIN, distance=_squared(pml), reducer=mean)


def _lifted(pml, _):
    euclidean = pml.distances.LpDistance(normalize_embeddings=False)
    mean = pml.reducers.MeanReducer()
    return pml.losses.LiftedStructureLoss(MARGIN, 0, distance=euclidean, reducer=mean)


def _proxy_nca(pml, proxies):
    loss = pml.losses.ProxyNCALoss(*proxies.shape, softmax_scale=1)
    loss.proxies.data = proxies
    return loss.to(proxies.device)


def _mined(make_miner, make_loss):
    """A loss of what a miner selects."""

    def make(pml, proxies):
        miner, loss = make_miner(pml), make_loss(pml, proxies)
        return lambda x, labels: loss(x, labels, miner(x, labels))

    return make


def _hardest(pml):
    return pml.miners.BatchHardMiner(distance=_squared(pml))


def _semi_hard(pml):
    return pml.miners.TripletMarginMiner(MARGIN, "semihard", distance=_squared(pml))


def _multi_similarity(pml, _):
    return pml.losses.MultiSimilarityLoss(2, 50, 0.5)


def _margin(pml, _):
    return pml.losses.MarginLoss(0.2, 0, 1.2)


def _distance_weighted(miners):
    import jax

    return miners.distance_weighted(jax.random.key(0))


def _two_views(make):
    """A loss of PML that takes the second view as references."""
    return lambda pml, _: partial(_apart, make(pml))


def _apart(loss, x, y):
    return loss(x, ref_emb=y)


def siglip(x, y, scale=10.0, bias=-10.0):
    """Sigmoid loss: each pair is its own question of yes or no."""
    import torch
    from torch.nn.functional import logsigmoid, normalize

    logits = scale * normalize(x) @ normalize(y).T + bias
    signs = 2 * torch.eye(len(x), device=x.device) - 1
    return -logsigmoid(signs * logits).sum() / len(x)


def clip(x, y, scale=1 / 0.07):
    """Cross-entropies of each row and each column of the similarities."""
    import torch
    from torch.nn.functional import cross_entropy, normalize

    logits = scale * normalize(x) @ normalize(y).T
    own = torch.arange(len(x), device=x.device)
    return (cross_entropy(logits, own) + cross_entropy(logits.T, own)) / 2


def barlow_twins(x, y, off_diagonal=0.005):
    """How far the correlations of two views are from the identity."""

    def standardized(z):
        return (z - z.mean(0)) / z.std(0, unbiased=False)

    correlations = standardized(x).T @ standardized(y) / len(x)
    diagonal = correlations.diagonal()
    off = correlations.pow(2).sum() - diagonal.pow(2).sum()
    return (diagonal - 1).pow(2).sum() + off_diagonal * off


def _plain(function, **rest):
    return Counterpart(lambda pml, proxies: function, plain=True, **rest)


# Where both do the same three products and little else.
_products = partial(Counterpart, compiled_goal=None)
_cubic = partial(Counterpart, largest=256)  # about B x B x B entries, or more
_with_margin = {"margin": MARGIN}
_paper = {"convention": "paper"}


def _pnp(variant):
    return _cubic(lambda pml, _: pml.losses.PNPLoss(variant=variant))


COUNTERPARTS: dict[str, Counterpart] = {
    # PML averages positive and negative pairs apart.
    "contrastive": Counterpart(_contrastive, options=_with_margin, same=None),
    # One positive an anchor, where JML's has all.
    "triplet hardest": Counterpart(
        _mined(_hardest, _triplets), options=_with_margin, same=None
    ),
    # All negatives between the positive and the margin, where JML's has the nearest.
    "triplet semi": Counterpart(
        _mined(_semi_hard, _triplets), options=_with_margin, same=None
    ),
    "triplet all": Counterpart(_triplets, options=_with_margin, same=_paper),
    "triplet batch_hard": Counterpart(
        _mined(_hardest, _triplets), options=_with_margin, same=_paper
    ),
    "lifted": _cubic(_lifted, options=_with_margin, same=_paper),
    # PML has an item's own proxy in the denominator.
    "proxy_nca": _products(_proxy_nca, same=None),
    "multi_similarity": Counterpart(_multi_similarity),
    "multi_similarity + multi_similarity": Counterpart(
        _mined(lambda pml: pml.miners.MultiSimilarityMiner(0.1), _multi_similarity),
        miner=lambda miners: miners.multi_similarity(epsilon=0.1),
    ),
    "supcon": Counterpart(lambda pml, _: pml.losses.SupConLoss(0.1)),
    "ntxent": _cubic(lambda pml, _: pml.losses.NTXentLoss(0.07), goal={256: 500.0}),
    "circle": Counterpart(lambda pml, _: pml.losses.CircleLoss(0.4, 80)),
    "tuplet_margin": _cubic(
        lambda pml, _: pml.losses.TupletMarginLoss(degrees(0.1), 64),
        goal={256: 500.0},
    ),
    "generalized_lifted": Counterpart(
        lambda pml, _: pml.losses.GeneralizedLiftedStructureLoss(
            neg_margin=1, pos_margin=0
        )
    ),
    "nca": _products(lambda pml, _: pml.losses.NCALoss(1), goal=2.0),
    "margin": Counterpart(_margin),
    # Both draw their negatives.
    "margin + distance_weighted": Counterpart(
        _mined(lambda pml: pml.miners.DistanceWeightedMiner(), _margin),
        miner=_distance_weighted,
        same=None,
    ),
    "fast_ap": Counterpart(lambda pml, _: pml.losses.FastAPLoss(10)),
    # PML's is the definition only where a class has as many items as there are classes.
    "smooth_ap": _cubic(
        lambda pml, _: pml.losses.SmoothAPLoss(0.01), same=None, goal={256: 100.0}
    ),
    "pnp": _pnp("O"),
    **{f"pnp {variant}": _pnp(variant) for variant in ("Ds", "Dq", "Iu", "Ib")},
    "histogram": Counterpart(lambda pml, _: pml.losses.HistogramLoss(100)),
    "n_pairs": Counterpart(lambda pml, _: pml.losses.NPairsLoss()),
    "threshold_consistent_margin": Counterpart(
        lambda pml, _: pml.losses.ThresholdConsistentMarginLoss()
    ),
    "intra_pair_variance": Counterpart(
        lambda pml, _: pml.losses.IntraPairVarianceLoss()
    ),
    # PML adds 1e-5 to each weight of the divisors.
    "ranked_list": Counterpart(
        lambda pml, _: pml.losses.RankedListLoss(0.4, 10, 0.5, 1.2), same=None
    ),
    # PML takes negatives as they are: of unit length here, but for the gradient.
    "angular": _cubic(lambda pml, _: pml.losses.AngularLoss(40), same_gradient=False),
    "siglip": _plain(siglip, goal=1.3, compiled_goal=None),
    "clip": _plain(clip, goal={256: 1.0, 1024: 1.3}, compiled_goal=None),
    "vicreg": Counterpart(_two_views(lambda pml: pml.losses.VICRegLoss())),
    "barlow_twins": _plain(barlow_twins),
}
