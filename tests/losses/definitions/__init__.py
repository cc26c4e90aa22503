"""Every loss and every miner as its paper defines it: plain, slow, in PyTorch float64.

`DEFINITIONS` and `MINERS` are by the names that the library has for them. Nothing here
imports the library. tests/losses/test_definitions_peers.py and
test_miners_peers.py compare them with PyTorch Metric Learning.
"""

import torch

from . import _miners, _pairs, _ranks, _triplets, _views
from ._patterns import PATTERNS, SIZE, make_batch
from ._relations import Relations, Term, reduce, relate, relate_by_numbers

__all__ = [
    "DEFINITIONS",
    "MINERS",
    "PATTERNS",
    "SIZE",
    "TOGETHER",
    "VIEWS",
    "Relations",
    "Term",
    "distance_weights",
    "make_batch",
    "reduce",
    "relate",
    "relate_by_numbers",
    "triplets",
    "value_of",
]

DEFINITIONS = {
    "angular": _triplets.angular,
    "circle": _pairs.circle,
    "clip": _views.clip,
    "contrastive": _pairs.contrastive,
    "cosent": _pairs.cosent,
    "fast_ap": _ranks.fast_ap,
    "generalized_lifted": _pairs.generalized_lifted,
    "histogram": _ranks.histogram,
    "intra_pair_variance": _pairs.intra_pair_variance,
    "lifted": _pairs.lifted,
    "margin": _triplets.margin,
    "multi_similarity": _pairs.multi_similarity,
    "n_pairs": _triplets.n_pairs,
    "nca": _pairs.nca,
    "ntxent": _pairs.ntxent,
    "pnp": _ranks.pnp,
    "ranked_list": _ranks.ranked_list,
    "recall_at_k": _ranks.recall_at_k,
    "siglip": _views.siglip,
    "smooth_ap": _ranks.smooth_ap,
    "supcon": _pairs.supcon,
    "threshold_consistent_margin": _pairs.threshold_consistent_margin,
    "triplet": _triplets.triplet,
    "tuplet_margin": _pairs.tuplet_margin,
}
VIEWS = {"barlow_twins": _views.barlow_twins, "vicreg": _views.vicreg}
TOGETHER = {"contrastive"}  # whose mean is over the terms of all its parts
MINERS = {
    "batch_hard": _miners.batch_hard,
    "easy_hard": _miners.easy_hard,
    "multi_similarity": _miners.multi_similarity,
    "pair_margin": _miners.pair_margin,
    "triplet_margin": _miners.triplet_margin,
}
distance_weights = _miners.distance_weights
triplets = _miners.triplets


def value_of(name, x, labels, batch=None, **numbers):
    """A loss of NumPy arrays, as a float; what follows the `batch` is a memory."""
    batch = batch or len(x)
    memory = labels[batch:], labels[batch:] == labels[batch:]
    relations = relate(labels[:batch], memory=memory)
    numbers = {
        k: torch.tensor(v, dtype=torch.float64) if isinstance(v, float) else v
        for k, v in numbers.items()
    }
    x = torch.tensor(x, dtype=torch.float64)
    found = DEFINITIONS[name](x[:batch], x, relations, **numbers)
    if isinstance(found, list):
        found = reduce(found, "mean", batch, together=name in TOGETHER)
    return float(found)
