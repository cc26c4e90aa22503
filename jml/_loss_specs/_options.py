"""Hyperparameters and choices that several rows of the table share.

Only the standard library is imported here (see the package docstring).
"""

from typing import Any

from ._columns import Choice, Hyperparameter, Proxies

SIMILARITY = Choice(
    name="similarity",
    text="what the loss compares: cosines, or inner products of embeddings as they are",
    choices=("cosine", "dot"),
    default="cosine",
    varied=False,
)
MINING = Choice(
    name="mining",
    text="triplets that the loss uses",
    choices=("hardest", "semi", "all", "batch_hard"),
    default="semi",
    named=True,
)
SMOOTH = Choice(
    name="smooth",
    text="logarithm of 1 plus an exponential in place of the hinge",
    choices=(False, True),
    default=False,
    varied=False,
)
DISTANCE = Choice(
    name="distance",
    text="what triplets compare: squared distances, or distances",
    choices=("squared", "euclidean"),
    default="squared",
)
SWAP = Choice(
    name="swap",
    text="distance of a negative to the nearer one of anchor and positive",
    choices=(False, True),
    default=False,
    varied=False,
)
POSITIVES = Choice(
    name="positives",
    text="place of the sum over positives, with regard to the logarithm",
    choices=("outside", "inside"),
    default="outside",
)
DENOMINATOR = Choice(
    name="denominator",
    text="what positives are compared with",
    choices=("all", "one", "negatives"),
    default="all",
)
INCLUDE_ANCHOR = Choice(
    name="include_anchor",
    text="counting an anchor among its own positives",
    choices=(False, True),
    default=False,
)
OWN_IN_DENOMINATOR = Choice(
    name="own_in_denominator",
    text="counting an item's own proxy in the denominator",
    choices=(False, True),
    default=False,
)
VARIANT = Choice(
    name="variant",
    text="penalty of the negatives before a positive",
    choices=("O", "Ds", "Dq", "Iu", "Ib"),
    default="O",
)

MARGIN_KIND = Choice(
    name="margin_kind",
    text="what the margin is: an angle that is added, or a cosine that is taken off",
    choices=("angular", "additive"),
    default="angular",
)
PLUS = Choice(
    name="plus",
    text="larger margins for items that are farther from their class",
    choices=(False, True),
    default=False,
)
NORMALIZED = Choice(
    name="normalized",
    text="scaling of embeddings to length one by the loss itself",
    choices=(False, True),
    default=True,
    varied=False,
)
TOWERS = ("miner", "reduction", "reference_where")
SCALE = "factor on the distances or similarities of the loss"


def margin(
    default: float, command_default: float | None = None, **rest: Any
) -> Hyperparameter:
    return Hyperparameter(
        "margin",
        "margin of the loss",
        default,
        command_default=command_default,
        above=0,
        **rest,
    )


# Of angles in radians: half a turn.
ANGLE: dict[str, Any] = {"maximum": 3.14}


def gamma(default: float) -> Hyperparameter:
    text = (
        "sharpness (circle), or divisor of similarities to the centers of a class"
        " (soft_triple)"
    )
    return Hyperparameter("gamma", text, default, above=0)


LABEL_SMOOTHING = Hyperparameter(
    "label_smoothing",
    "part of the target that is the same for all classes",
    0.0,
    minimum=0,
    below=1,
)
OF_CLASSES: dict[str, Any] = {
    "proxies": Proxies("weights", centers=1),
    "loss_lr": 0.03,
    "takes": ("classes", "class_axis_name", "reduction"),
    "unit_length": True,
    "images_per_class": 2,
}


def temperature(default: float, learned: str | None = "number") -> Hyperparameter:
    return Hyperparameter(
        "temperature",
        "divisor of similarities before exponentials",
        default,
        above=0,
        learned=learned,
    )


def alpha(default: float, **rest: Any) -> Hyperparameter:
    text = (
        "sharpness in positive pairs (multi_similarity), factor on cosines"
        " (proxy_anchor), exponent of Dq (pnp), or distance of negatives (ranked_list)"
    )
    return Hyperparameter("alpha", text, default, above=0, **rest)


def beta(default: float, **rest: Any) -> Hyperparameter:
    text = (
        "sharpness in negative pairs (multi_similarity), or distance of the boundary"
        " (margin)"
    )
    return Hyperparameter("beta", text, default, above=0, **rest)
