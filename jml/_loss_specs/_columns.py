"""What a row of the table of losses has: its columns.

Only the standard library is imported here (see the package docstring).
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
    default: Any  # the function's
    command_default: Any = None  # the command's, where it differs
    named: bool = False  # in the names of `variants` the default stands, too
    varied: bool = True  # `variants` has each of its words


CONVENTION = Choice(
    name="convention",
    text="way to count pairs: that of the original code or that of the paper",
    choices=("original", "paper"),
    default="original",
    varied=False,
)


@dataclass(frozen=True)
class Proxies:
    """A loss's own parameters: a row for each class, or several centers.

    They are the third positional argument of the function. One row begins as
    ``jml.losses.init_proxies`` draws it, and centers as ``init_class_weights`` does.
    """

    argument: str = "proxies"  # its name
    command_default: str = "trained"  # --proxies
    centers: int | None = None  # --centers; None: the loss takes one row a class


@dataclass(frozen=True, kw_only=True)
class LossSpec:
    """One row of the table of losses."""

    hyperparameters: tuple[Hyperparameter, ...] = ()
    choices: tuple[Choice, ...] = ()
    # Static options that are no choices, with the function's defaults; without a flag.
    static: tuple[tuple[str, Any], ...] = ()
    proxies: Proxies | None = None
    # Of the arguments that losses share, those that a training may pass.
    takes: tuple[str, ...] = ("memory", "miner", "reduction")
    views: bool = False  # of two views of each item instead of items and labels
    unit_length: bool = False  # it compares embeddings scaled to length one
    lengths: bool = False  # it goes by the lengths that the network gives embeddings
    # A key of jml.losses._diagnostics.ACTIVE; losses of class weights need none.
    diagnostics: str | None = None
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
        defaults |= {
            c.name: c.default if c.command_default is None else c.command_default
            for c in self.choices
            if c is not CONVENTION
        }
        defaults |= {"images_per_class": self.images_per_class}
        if self.proxies is not None:
            defaults |= {"proxies": self.proxies.command_default}
            if self.proxies.centers is not None:
                defaults |= {"centers": self.proxies.centers}
        if any(h.learned for h in self.hyperparameters):
            defaults |= {"learn": ",".join(self.learn) or "none"}
        if self.loss_lr is not None:
            defaults |= {"loss_lr": self.loss_lr}
        return defaults


def row(*hyperparameters: Hyperparameter, **rest: Any) -> LossSpec:
    """A row of the table. The loss NAME is the function NAME_loss of `jml.losses`."""
    return LossSpec(hyperparameters=hyperparameters, **rest)
