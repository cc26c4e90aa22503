"""The rows of losses that compare a batch with proxies, or two views of it.

Only the standard library is imported here (see the package docstring).
"""

from dataclasses import replace
from functools import partial

from ._columns import Hyperparameter, LossSpec, Proxies, row
from ._options import (
    ANGLE,
    DENOMINATOR,
    LABEL_SMOOTHING,
    MARGIN_KIND,
    OF_CLASSES,
    OWN_IN_DENOMINATOR,
    PLUS,
    SCALE,
    TOWERS,
    alpha,
    gamma,
    margin,
    temperature,
)

# From scratch, classes are not told apart at first: then 64 only adds noise.
_OF_COSINES = Hyperparameter(
    "scale", SCALE, 64.0, command_default=16.0, above=0, learned="number"
)
_REGULARIZATION = partial(
    Hyperparameter,
    "regularization",
    "weight of the lengths (magface), or of a class's centers (soft_triple)",
    minimum=0,
)
OTHERS: dict[str, LossSpec] = {
    "proxy_nca": row(
        Hyperparameter(
            "scale",
            SCALE,
            1.0,
            command_default=10.0,
            above=0,
            learned="number",
        ),
        choices=(OWN_IN_DENOMINATOR,),
        **{**OF_CLASSES, "proxies": Proxies()},
    ),
    "proxy_anchor": row(
        margin(0.1),
        alpha(32.0, command_default=16.0),
        **{
            **OF_CLASSES,
            "proxies": Proxies(),
            "takes": ("classes", "class_axis_name"),
            "loss_lr": 0.1,
        },
    ),
    "margin_softmax": row(
        _OF_COSINES,
        Hyperparameter(
            "angular",
            "angle added at the own class, in radians",
            0.0,
            minimum=0,
            **ANGLE,
        ),
        Hyperparameter("additive", "cosine taken off at the own class", 0.0),
        LABEL_SMOOTHING,
        **OF_CLASSES,
    ),
    "normalized_softmax": row(temperature(0.05), LABEL_SMOOTHING, **OF_CLASSES),
    "cosface": row(_OF_COSINES, margin(0.35), LABEL_SMOOTHING, **OF_CLASSES),
    "arcface": row(
        _OF_COSINES,
        margin(0.5, command_default=0.2, **ANGLE),
        LABEL_SMOOTHING,
        **OF_CLASSES,
    ),
    "elasticface": row(
        _OF_COSINES,
        margin(0.5, command_default=0.2, **ANGLE),
        Hyperparameter("deviation", "deviation of drawn margins", 0.0125, minimum=0),
        LABEL_SMOOTHING,
        choices=(MARGIN_KIND, PLUS),
        **{**OF_CLASSES, "takes": (*OF_CLASSES["takes"], "key")},
    ),
    "adaface": row(
        _OF_COSINES,
        margin(0.4, command_default=0.2, **ANGLE),
        Hyperparameter(
            "concentration",
            "how much the margin depends on the length of an embedding",
            0.333,
            minimum=0,
        ),
        LABEL_SMOOTHING,
        lengths=True,
        l2norm=False,
        **{**OF_CLASSES, "takes": (*OF_CLASSES["takes"], "lengths")},
    ),
    "magface": row(
        _OF_COSINES,
        Hyperparameter(
            "min_margin",
            "margin of short embeddings",
            0.45,
            command_default=0.1,
            minimum=0,
            **ANGLE,
        ),
        Hyperparameter(
            "max_margin",
            "margin of long embeddings",
            0.8,
            command_default=0.3,
            minimum=0,
            **ANGLE,
        ),
        Hyperparameter(
            "min_length", "length below which embeddings are short", 10.0, above=0
        ),
        Hyperparameter(
            "max_length", "length above which embeddings are long", 110.0, above=0
        ),
        _REGULARIZATION(35.0),
        LABEL_SMOOTHING,
        lengths=True,
        l2norm=False,
        **OF_CLASSES,
    ),
    "soft_triple": row(
        Hyperparameter("scale", SCALE, 20.0, above=0, learned="number"),
        gamma(0.1),
        margin(0.01),
        _REGULARIZATION(0.2),
        LABEL_SMOOTHING,
        **{**OF_CLASSES, "proxies": Proxies("weights", centers=10)},
    ),
    "siglip": row(
        Hyperparameter("scale", SCALE, 10.0, above=0, learned="number"),
        Hyperparameter("bias", "summand of similarities", -10.0, learned="number"),
        takes=TOWERS,
        views=True,
        images_per_class=2,
        learn=("scale", "bias"),
        loss_lr=0.01,
        unit_length=True,
    ),
    "clip": row(
        Hyperparameter("scale", SCALE, 1 / 0.07, above=0, learned="number"),
        choices=(
            replace(
                DENOMINATOR,
                choices=("two_way", "four_way"),
                default="two_way",
                varied=False,
            ),
        ),
        takes=TOWERS,
        views=True,
        images_per_class=2,
        learn=("scale",),
        loss_lr=0.01,
        unit_length=True,
    ),
    "vicreg": row(
        Hyperparameter("invariance", "weight of distances between views", 25.0),
        Hyperparameter("variance", "weight of the columns' deviations", 25.0),
        Hyperparameter("covariance", "weight of the columns' covariances", 1.0),
        Hyperparameter("eps", "number added to the columns' variances", 1e-4, above=0),
        takes=(),
        views=True,
        images_per_class=2,
        l2norm=False,  # on the unit sphere no column can have the deviation 1
    ),
    "barlow_twins": row(
        Hyperparameter(
            "off_diagonal",
            "weight of correlations between columns",
            0.005,
            command_default=0.05,
            minimum=0,
        ),
        takes=(),
        views=True,
        images_per_class=2,
        l2norm=False,
    ),
}
