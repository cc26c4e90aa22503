"""Metric-learning losses over all pairs of a batch.

Each is a pure function of `embeddings` [B, D] (float16, bfloat16, float32, float64) and
`labels` that returns a scalar, and works under `jit`, `grad` and `vmap`. Labels are
integers [B], or booleans [B, L] for items with any number of L labels: two items that
share one are positives. Hyperparameters such as `margin` are traced, so that changing
one does not recompile; choices such as `mining` are static. Anything with
`__jax_array__`, such as a parameter of Flax, counts as an array. Distances are computed
in float32 at least.

Arguments that the pair losses share:

- `where`: booleans [B], False for items to leave out, such as padding. The loss is that
  of the other items, and items left out get gradient 0.
- `memory`: embeddings of earlier batches, from `init_memory` and `update_memory`. The
  batch is compared with them as well as with itself. They are no anchors and pass no
  gradient: a pair counts if at least one of its ends is in the batch. Inside
  `jax.shard_map` every device must be given the whole memory; update it outside, under
  the same `jit`.
- `references`: other embeddings [N, D] to compare the batch with in place of itself,
  such as those of another network. The batch has the anchors; the gradient goes to
  both. With them go `reference_labels`, of the same kind as `labels`, and
  `reference_where`. An item that is in both is its own positive there.
- `related`: numbers or booleans [B, N] in place of labels, a column for each reference
  and then for each embedding of a memory. Above 0 makes a positive, 0 a negative, below
  0 or NaN neither. A float weighs its positive: it multiplies what the pair adds, or in
  a logarithm of a sum its exponential. Counts do not weigh, nor do the denominators of
  `supcon_loss` and `clip_loss`; losses of ranks and `ranked_list_loss` take any number
  above 0 alike. It need not be symmetric.
- `miner`: a function that chooses pairs of each anchor, from `jml.miners` or your own.
- `reduction`: "mean" divides by the number of terms, which each loss names; "nonzero"
  by the number of those above 0; "sum" does not divide; "none" returns [B], each
  anchor's own mean, 0 for an anchor without a term. `cosent_loss` and `histogram_loss`,
  one number of the whole batch, have no reductions.
- `block_size`: the number of anchors at a time. The memory in use then grows with
  `block_size * B` instead of `B * B`. None chooses by the size of the batch; B
  takes all anchors at once.
- `axis_name`: inside `jax.shard_map`, the mesh axis over which the batch is spread, or
  a tuple of several. Every device gives its part of the batch, of the references and of
  the rows of `related`, and receives the loss of the whole. It makes only the rows of
  its own anchors. The gradient may be taken inside or outside; with `check_vma=False`
  only outside, because inside JAX would count it once for every device. Under plain
  `jit`, sharded arrays need no such argument.

The contrastive, triplet and lifted losses have a `convention` besides: "original" keeps
the pair bookkeeping of the PyTorch project that this library ports, and equals
`torch_ref`; "paper" is the textbook formula, in which each unordered pair stands once
and nothing is paired with itself.

The contrastive, triplet and lifted losses take embeddings as they are.
`jml.distances.normalize` puts them on the unit sphere, for which most published margins
are meant. All other losses do that themselves, unless `similarity="dot"` or
`normalized=False` says not to.

The SigLIP and CLIP losses compare `queries` with `references`, the embeddings of two
towers. Without labels query i belongs to reference i: the places count over all
devices, and `where` leaves out both.

The margin softmax, ArcFace, CosFace, normalized softmax, AdaFace, MagFace, ElasticFace
and SoftTriple losses compare the batch with `weights` of all classes, and Proxy-NCA and
Proxy-Anchor with `proxies`. Their `block_size` is the number of classes at a time; with
`class_axis_name` classes are spread over devices. `classes` names the class of each
row: every class once, and -1 for a row that stands for none. They share `where`,
`reduction` (Proxy-Anchor apart) and `axis_name` with the pair losses. AdaFace and
MagFace make margins of the lengths of embeddings: a network must not scale them before.

The VICReg and Barlow Twins losses compare no pairs. They take two views `x` and `y`
[B, D] of the same items, without labels, and share `where` and `axis_name` alone.

Distances come from inner products, and have their rounding errors. In float32, the
relative error of a squared distance d^2 between rows of norm |x| is typically up to
4e-7 (|x| / d)^2, and at most about 2e-6 (|x| / d)^2. At a tenth of the norm four or
five digits are left, at a hundredth two or three, at a thousandth one or none;
benchmarks/distance_digits.py measures that. Where embeddings lie far from 0, subtract
their mean first, also from those of a memory: a loss of Euclidean distances stays the
same.

Value and gradient are made together, and the pair matrix is not kept. Second
derivatives are to be taken forward over reverse, as `jax.hessian` does.

No finite input gives NaN. A batch without a pair or triplet to learn from has loss 0
and gradient 0. A number beyond the fourth root of the largest float (4e9 in float32) is
clipped to it, in embeddings, in hyperparameters and in weights of `related`.

`jml.pairwise` says how to write a loss of your own.
"""

from jml.pairwise._memory import Memory as Memory
from jml.pairwise._memory import init_memory as init_memory
from jml.pairwise._memory import update_memory as update_memory

from ._adaface import adaface_loss as adaface_loss
from ._angular import angular_loss as angular_loss
from ._arcface import arcface_loss as arcface_loss
from ._barlow_twins import barlow_twins_loss as barlow_twins_loss
from ._circle import circle_loss as circle_loss
from ._class_centers import class_outliers as class_outliers
from ._class_centers import dominant_centers as dominant_centers
from ._class_centers import logits as logits
from ._class_weights import init_class_weights as init_class_weights
from ._class_weights import sample_classes as sample_classes
from ._clip import clip_loss as clip_loss
from ._contrastive import contrastive_loss as contrastive_loss
from ._cosent import cosent_loss as cosent_loss
from ._cosface import cosface_loss as cosface_loss
from ._diagnostics import make_diagnostics as make_diagnostics
from ._elasticface import elasticface_loss as elasticface_loss
from ._fast_ap import fast_ap_loss as fast_ap_loss
from ._generalized_lifted import generalized_lifted_loss as generalized_lifted_loss
from ._histogram import histogram_loss as histogram_loss
from ._intra_pair_variance import intra_pair_variance_loss as intra_pair_variance_loss
from ._lengths import Lengths as Lengths
from ._lengths import init_lengths as init_lengths
from ._lengths import update_lengths as update_lengths
from ._lifted import lifted_loss as lifted_loss
from ._magface import magface_loss as magface_loss
from ._margin import margin_loss as margin_loss
from ._margin_softmax import margin_softmax_loss as margin_softmax_loss
from ._multi_similarity import multi_similarity_loss as multi_similarity_loss
from ._n_pairs import n_pairs_loss as n_pairs_loss
from ._nca import nca_loss as nca_loss
from ._normalized_softmax import normalized_softmax_loss as normalized_softmax_loss
from ._ntxent import ntxent_loss as ntxent_loss
from ._objective import make_objective as make_objective
from ._pnp import pnp_loss as pnp_loss
from ._proxy_anchor import proxy_anchor_loss as proxy_anchor_loss
from ._proxy_nca import init_proxies as init_proxies
from ._proxy_nca import proxy_nca_loss as proxy_nca_loss
from ._ranked_list import ranked_list_loss as ranked_list_loss
from ._recall_at_k import recall_at_k_loss as recall_at_k_loss
from ._siglip import siglip_loss as siglip_loss
from ._smooth_ap import smooth_ap_loss as smooth_ap_loss
from ._soft_triple import soft_triple_loss as soft_triple_loss
from ._supcon import supcon_loss as supcon_loss
from ._threshold_consistent_margin import (
    threshold_consistent_margin_loss as threshold_consistent_margin_loss,
)
from ._triplet import triplet_loss as triplet_loss
from ._tuplet_margin import tuplet_margin_loss as tuplet_margin_loss
from ._vicreg import vicreg_loss as vicreg_loss

__all__ = [
    "Lengths",
    "Memory",
    "adaface_loss",
    "angular_loss",
    "arcface_loss",
    "barlow_twins_loss",
    "circle_loss",
    "class_outliers",
    "clip_loss",
    "contrastive_loss",
    "cosent_loss",
    "cosface_loss",
    "dominant_centers",
    "elasticface_loss",
    "fast_ap_loss",
    "generalized_lifted_loss",
    "histogram_loss",
    "init_class_weights",
    "init_lengths",
    "init_memory",
    "init_proxies",
    "intra_pair_variance_loss",
    "lifted_loss",
    "logits",
    "magface_loss",
    "make_diagnostics",
    "make_objective",
    "margin_loss",
    "margin_softmax_loss",
    "multi_similarity_loss",
    "n_pairs_loss",
    "nca_loss",
    "normalized_softmax_loss",
    "ntxent_loss",
    "pnp_loss",
    "proxy_anchor_loss",
    "proxy_nca_loss",
    "ranked_list_loss",
    "recall_at_k_loss",
    "sample_classes",
    "siglip_loss",
    "smooth_ap_loss",
    "soft_triple_loss",
    "supcon_loss",
    "threshold_consistent_margin_loss",
    "triplet_loss",
    "tuplet_margin_loss",
    "update_lengths",
    "update_memory",
    "vicreg_loss",
]
