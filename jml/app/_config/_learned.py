"""Which numbers of its loss a run trains, by ``--learn``.

Only the standard library is imported here (see the package docstring).
"""

from jml._loss_specs import SPECS, Hyperparameter
from jml._names import quoted
from jml.app._values import suggest
from jml.errors import UserError

from ._settings import Settings


def learned(config: Settings) -> tuple[Hyperparameter, ...]:
    """The hyperparameters that a run trains, in the order of the table of losses."""
    names = _names(config)
    return tuple(h for h in SPECS[config.loss].hyperparameters if h.name in names)


def _names(config: Settings) -> list[str]:
    text = (config.learn or "none").replace(" ", "")
    return [] if text == "none" else text.split(",")


def check_learned(config: Settings) -> None:
    """Raises a UserError if ``--learn`` has a name that the loss cannot train."""
    known = [h.name for h in SPECS[config.loss].hyperparameters if h.learned]
    if config.learn is not None and not known:
        raise UserError(
            f"--learn: --loss {config.loss} has no number to train; leave it out, or"
            " choose another --loss."
        )
    for name in _names(config):
        if name not in known:
            choices = ", ".join((*known, "none"))
            raise UserError(
                f"--learn: unknown {quoted(name)}; {suggest(name, known)}choose from"
                f" {choices}."
            )


def unused_rates(config: Settings) -> set[str]:
    """The rate of the loss's parameters, if a run trains none."""
    return set() if learned(config) or config.proxies == "trained" else {"loss_lr"}
