"""The rows of losses that compare the pairs of a batch.

Only the standard library is imported here (see the package docstring).
"""

from dataclasses import replace

from ._columns import CONVENTION, Hyperparameter, LossSpec, row
from ._options import (
    DENOMINATOR,
    DISTANCE,
    INCLUDE_ANCHOR,
    MINING,
    NORMALIZED,
    POSITIVES,
    SCALE,
    SIMILARITY,
    SMOOTH,
    SWAP,
    VARIANT,
    alpha,
    beta,
    gamma,
    margin,
    temperature,
)

PAIRS: dict[str, LossSpec] = {
    "contrastive": row(
        margin(1.0, command_default=0.5),
        choices=(CONVENTION,),
        diagnostics="negatives_within_margin",
    ),
    "triplet": row(
        margin(0.2),
        choices=(MINING, SMOOTH, SWAP, DISTANCE, CONVENTION),
        diagnostics="slope_by_margin",
    ),
    "lifted": row(
        margin(1.0),
        choices=(CONVENTION,),
        diagnostics="curvature_by_margin",
        # The loss of a batch hardly falls while distances cannot exceed 2.
        l2norm=False,
    ),
    "multi_similarity": row(
        alpha(2.0),
        beta(50.0),
        Hyperparameter("base", "similarity of the boundary", 0.5, learned="number"),
        choices=(SIMILARITY,),
        loss_lr=0.01,
        unit_length=True,
    ),
    "supcon": row(
        temperature(0.1),
        Hyperparameter(
            "hardness", "weight of similar negatives over others", 0.0, minimum=0
        ),
        choices=(POSITIVES, DENOMINATOR, SIMILARITY),
        static=(("guide", None), ("reference_guide", None)),
        loss_lr=0.01,
        unit_length=True,
    ),
    "ntxent": row(
        temperature(0.07), choices=(SIMILARITY,), loss_lr=0.01, unit_length=True
    ),
    "circle": row(
        margin(0.4),
        gamma(80.0),
        unit_length=True,
    ),
    "tuplet_margin": row(
        margin(0.1),
        Hyperparameter("scale", SCALE, 64.0, above=0),
        unit_length=True,
    ),
    "n_pairs": row(
        # A softmax of cosines without a temperature hardly tells pairs apart.
        choices=(replace(SIMILARITY, command_default="dot"),),
        unit_length=True,
        images_per_class=2,
        l2norm=False,
    ),
    "cosent": row(
        Hyperparameter("scale", SCALE, 20.0, above=0, learned="number"),
        takes=("memory", "miner"),
        loss_lr=0.01,
        unit_length=True,
    ),
    "generalized_lifted": row(
        Hyperparameter("pos_margin", "distance taken off those of positives", 0.0),
        Hyperparameter("neg_margin", "distance asked of negatives", 1.0),
        # At length one the log-sums are too flat to tell near from far.
        choices=(replace(NORMALIZED, command_default=False),),
        unit_length=True,
        l2norm=False,
    ),
    "nca": row(
        Hyperparameter(
            "scale", SCALE, 1.0, command_default=10.0, above=0, learned="number"
        ),
        loss_lr=0.01,
        choices=(NORMALIZED,),
        unit_length=True,
    ),
    "margin": row(
        margin(0.2),
        beta(1.2, learned="class"),
        Hyperparameter("nu", "cost of large boundaries beta", 0.0),
        loss_lr=0.01,
        choices=(NORMALIZED,),
        unit_length=True,
    ),
    "ranked_list": row(
        margin(0.4),
        alpha(1.2),
        Hyperparameter(
            "positive_temperature", "weight of the farthest positives", 0.0, minimum=0
        ),
        Hyperparameter(
            "negative_temperature", "weight of the nearest negatives", 10.0, minimum=0
        ),
        Hyperparameter(
            "imbalance", "share of negatives in the loss", 0.5, minimum=0, maximum=1
        ),
        choices=(NORMALIZED,),
        unit_length=True,
    ),
    "threshold_consistent_margin": row(
        Hyperparameter("pos_threshold", "least similarity of positives", 0.9),
        Hyperparameter("neg_threshold", "largest similarity of negatives", 0.5),
        Hyperparameter("pos_weight", "weight of the part of positives", 1.0, minimum=0),
        Hyperparameter("neg_weight", "weight of the part of negatives", 1.0, minimum=0),
        unit_length=True,
    ),
    "fast_ap": row(static=(("bins", 10),), unit_length=True),
    "smooth_ap": row(
        temperature(0.01, learned=None),
        choices=(INCLUDE_ANCHOR,),
        unit_length=True,
    ),
    "pnp": row(
        temperature(0.01, learned=None),
        alpha(1.0),
        Hyperparameter("b", "steepness of variant Ib", 2.0, above=0),
        choices=(VARIANT,),
        unit_length=True,
    ),
    "recall_at_k": row(
        temperature(0.01, learned=None),
        Hyperparameter(
            "rank_temperature", "ranks over which a hit turns into none", 1.0, above=0
        ),
        static=(("ks", (1, 2, 4, 8, 16)),),
        unit_length=True,
    ),
    "histogram": row(
        static=(("bins", 100),), takes=("memory", "miner"), unit_length=True
    ),
    "intra_pair_variance": row(
        Hyperparameter("pos_epsilon", "share by which positives vary", 0.01, minimum=0),
        Hyperparameter("neg_epsilon", "share by which negatives vary", 0.01, minimum=0),
        unit_length=True,
    ),
    "angular": row(
        Hyperparameter(
            "angle", "angle at negatives, in radians", 0.698, above=0, below=1.57
        ),
        unit_length=True,
    ),
}
