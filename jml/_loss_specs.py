"""The table of losses: what is known of each, in one row.

The flags and defaults of the command, the objective, the diagnostics, the contract
tests and the benchmarks read it. A new loss is one file in ``jml/losses``, exported
there, one row here and one oracle in the tests.

Only the standard library is imported, so that the command can read its flags before JAX
is loaded: ``jml.losses._objective`` looks the functions up.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any


@dataclass(frozen=True)
class Hyperparameter:
    """A number that a loss takes by keyword; it is traced, never compiled in.

    It becomes a flag of its name. Losses that share a name share the flag, so its
    `text` must hold for all of them; bounds and defaults are each loss's own. One that
    is `learned` may be a parameter of the training in place of a constant. If it has to
    be above 0, the training multiplies it, and otherwise it adds to it.
    """

    name: str
    text: str  # the flag's help, a noun phrase
    default: float  # the function's
    _: KW_ONLY
    command_default: float | None = None  # the command's, where it differs
    above: float | None = None  # bounds of what the command accepts
    minimum: float | None = None
    below: float | None = None
    maximum: float | None = None
    learned: str | None = None  # one "number", or one for each "class"

    @property
    def positive(self) -> bool:
        """Whether every value that the command accepts is above 0."""
        return self.above is not None and self.above >= 0

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds there are, by name."""
        names = ("above", "minimum", "below", "maximum")
        bounds = {name: getattr(self, name) for name in names}
        return {name: limit for name, limit in bounds.items() if limit is not None}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A static option that a loss takes by keyword: one of several words, or a switch.

    A switch has the choices False and True.
    """

    name: str
    text: str
    choices: tuple[Any, ...]
    default: Any
    named: bool = False  # in the names of `variants` the default stands, too
    varied: bool = True  # `variants` has each of its words


@dataclass(frozen=True, kw_only=True)
class Proxies:
    """A loss's own parameters: one row a class, from ``jml.losses.init_proxies``.

    They are the third positional argument of the function, `proxies`.
    """

    command_default: str = "trained"  # --proxies


@dataclass(frozen=True, kw_only=True)
class LossSpec:
    """One row of the table of losses."""

    hyperparameters: tuple[Hyperparameter, ...] = ()
    choices: tuple[Choice, ...] = ()
    # Static options that are no choices, with the function's defaults; without a flag.
    static: tuple[tuple[str, Any], ...] = ()
    proxies: Proxies | None = None
    # Of the arguments that pair losses share, those that a training may pass.
    takes: tuple[str, ...] = ("memory", "miner", "reduction")
    views: bool = False  # of two views of each item instead of items and labels
    unit_length: bool = False  # it compares embeddings scaled to length one
    diagnostics: str | None = None  # a key of jml.losses._diagnostics.ACTIVE
    # Defaults of the command:
    images_per_class: int = 4  # what the sampler draws of each class
    learn: tuple[str, ...] = ()  # hyperparameters that --learn trains
    loss_lr: float | None = None  # of what the loss trains, proxies included
    l2norm: bool = True  # whether the network scales embeddings to length one

    def defaults(self) -> dict[str, float]:
        """The function's default of each hyperparameter."""
        return {h.name: h.default for h in self.hyperparameters}

    def command_defaults(self) -> dict[str, Any]:
        """What a flag that was not given means with this loss, by the flag's name."""
        defaults: dict[str, Any] = {
            h.name: h.default if h.command_default is None else h.command_default
            for h in self.hyperparameters
        }
        defaults |= {"l2norm": self.l2norm}
        defaults |= {c.name: c.default for c in self.choices if c is not CONVENTION}
        defaults |= {"images_per_class": self.images_per_class}
        if self.proxies is not None:
            defaults |= {"proxies": self.proxies.command_default}
        if any(h.learned for h in self.hyperparameters):
            defaults |= {"learn": ",".join(self.learn) or "none"}
        if self.loss_lr is not None:
            defaults |= {"loss_lr": self.loss_lr}
        return defaults


CONVENTION = Choice(
    name="convention",
    text="way to count pairs: that of the original code or that of the paper",
    choices=("original", "paper"),
    default="original",
    varied=False,
)
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
SMOOTH = Choice(
    name="smooth",
    text="the logarithm in place of the hinge",
    choices=(False, True),
    default=False,
)
DISTANCE = Choice(
    name="distance",
    text="what triplets compare: squared distances, or distances",
    choices=("squared", "euclidean"),
    default="squared",
)
SWAP = Choice(
    name="swap",
    text="a negative's distance to the nearer one of anchor and positive",
    choices=(False, True),
    default=False,
)
INCLUDE_ANCHOR = Choice(
    name="include_anchor",
    text="counting an anchor among its own positives",
    choices=(False, True),
    default=False,
)
VARIANT = Choice(
    name="variant",
    text="penalty of the negatives before a positive",
    choices=("O", "Ds", "Dq", "Iu", "Ib"),
    default="O",
)

NORMALIZED = ("normalized", True)
TOWERS = ("miner", "reduction", "reference_where")
SCALE = "factor on the distances or similarities of the loss"


def _margin(default: float, command_default: float | None = None) -> Hyperparameter:
    return Hyperparameter(
        "margin",
        "margin of the loss",
        default,
        command_default=command_default,
        above=0,
    )


def _temperature(default: float, learned: str | None = "number") -> Hyperparameter:
    return Hyperparameter(
        "temperature",
        "divisor of similarities before exponentials",
        default,
        above=0,
        learned=learned,
    )


def _alpha(default: float) -> Hyperparameter:
    text = (
        "sharpness in positive pairs (multi_similarity), exponent of Dq (pnp), or"
        " distance of negatives (ranked_list)"
    )
    return Hyperparameter("alpha", text, default, above=0)


def _beta(default: float, **rest: Any) -> Hyperparameter:
    text = (
        "sharpness in negative pairs (multi_similarity), or distance of the boundary"
        " (margin)"
    )
    return Hyperparameter("beta", text, default, above=0, **rest)


def row(*hyperparameters: Hyperparameter, **rest: Any) -> LossSpec:
    """A row of the table. The loss NAME is the function NAME_loss of `jml.losses`."""
    return LossSpec(hyperparameters=hyperparameters, **rest)


SPECS: dict[str, LossSpec] = {
    "contrastive": row(
        _margin(1.0, command_default=0.5),
        choices=(CONVENTION,),
        diagnostics="negatives_within_margin",
    ),
    "triplet": row(
        _margin(0.2),
        choices=(MINING, SMOOTH, SWAP, DISTANCE, CONVENTION),
        diagnostics="slope_by_margin",
    ),
    "lifted": row(
        _margin(1.0),
        choices=(CONVENTION,),
        diagnostics="curvature_by_margin",
        # The loss of a batch hardly falls while distances cannot exceed 2.
        l2norm=False,
    ),
    "multi_similarity": row(
        _alpha(2.0),
        _beta(50.0),
        Hyperparameter("base", "similarity of the boundary", 0.5, learned="number"),
        choices=(SIMILARITY,),
        loss_lr=0.01,
        unit_length=True,
    ),
    "supcon": row(
        _temperature(0.1),
        Hyperparameter(
            "hardness", "weight of similar negatives over others", 0.0, minimum=0
        ),
        choices=(POSITIVES, DENOMINATOR, SIMILARITY),
        static=(("guide", None), ("reference_guide", None)),
        loss_lr=0.01,
        unit_length=True,
    ),
    "ntxent": row(
        _temperature(0.07), choices=(SIMILARITY,), loss_lr=0.01, unit_length=True
    ),
    "circle": row(
        _margin(0.4),
        Hyperparameter("gamma", "sharpness of the circle loss", 80.0, above=0),
        unit_length=True,
    ),
    "tuplet_margin": row(
        _margin(0.1),
        Hyperparameter("scale", SCALE, 64.0, above=0),
        unit_length=True,
    ),
    "n_pairs": row(choices=(SIMILARITY,), unit_length=True, images_per_class=2),
    "cosent": row(
        Hyperparameter("scale", SCALE, 20.0, above=0, learned="number"),
        takes=("memory", "miner"),
        loss_lr=0.01,
        unit_length=True,
    ),
    "generalized_lifted": row(
        Hyperparameter("pos_margin", "distance taken off those of positives", 0.0),
        Hyperparameter("neg_margin", "distance asked of negatives", 1.0),
        static=(NORMALIZED,),
        unit_length=True,
    ),
    "nca": row(
        Hyperparameter(
            "scale", SCALE, 1.0, command_default=10.0, above=0, learned="number"
        ),
        loss_lr=0.01,
        static=(NORMALIZED,),
        unit_length=True,
    ),
    "margin": row(
        _margin(0.2),
        _beta(1.2, learned="class"),
        Hyperparameter("nu", "cost of large boundaries beta", 0.0),
        loss_lr=0.01,
        static=(NORMALIZED,),
        unit_length=True,
    ),
    "ranked_list": row(
        _margin(0.4),
        _alpha(1.2),
        Hyperparameter(
            "positive_temperature", "weight of the farthest positives", 0.0, minimum=0
        ),
        Hyperparameter(
            "negative_temperature", "weight of the nearest negatives", 10.0, minimum=0
        ),
        Hyperparameter(
            "imbalance", "share of negatives in the loss", 0.5, minimum=0, maximum=1
        ),
        static=(NORMALIZED,),
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
        _temperature(0.01, learned=None),
        choices=(INCLUDE_ANCHOR,),
        unit_length=True,
    ),
    "pnp": row(
        _temperature(0.01, learned=None),
        _alpha(1.0),
        Hyperparameter("b", "steepness of variant Ib", 2.0, above=0),
        choices=(VARIANT,),
        unit_length=True,
    ),
    "recall_at_k": row(
        _temperature(0.01, learned=None),
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
    "proxy_nca": row(
        Hyperparameter(
            "scale",
            SCALE,
            1.0,
            command_default=10.0,
            above=0,
            learned="number",
        ),
        proxies=Proxies(),
        loss_lr=0.03,
        takes=("reduction",),
        unit_length=True,
        diagnostics="nearest_proxies",
        images_per_class=2,
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
        static=(("denominator", "two_way"),),
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
            "off_diagonal", "weight of correlations between columns", 0.005, minimum=0
        ),
        takes=(),
        views=True,
        images_per_class=2,
        l2norm=False,
    ),
}


def variants(separator: str = "_") -> dict[str, tuple[str, dict[str, Any]]]:
    """Each loss, once for each word of its choices.

    That is without the choices that many losses have, such as the convention, or that
    tests of their own cover.

    Choices are not combined: beside a word the others have their defaults. A name has
    the word that is no default, and none with all defaults, but for a `named` choice.

    >>> variants()["triplet_hardest"]
    ('triplet', {'mining': 'hardest'})
    """
    by_name: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, spec in SPECS.items():
        choices = [choice for choice in spec.choices if choice.varied]
        defaults = {choice.name: choice.default for choice in choices}
        if not any(choice.named for choice in choices):
            by_name[name] = name, defaults
        for choice in choices:
            for word in choice.choices:
                if choice.named or word != choice.default:
                    part = word if isinstance(word, str) else choice.name
                    variant = name, defaults | {choice.name: word}
                    by_name[separator.join((name, part))] = variant
    return by_name
