"""Flags for arguments that many losses share, such as `memory`: which loss takes which.

Only the standard library is imported here (see the package docstring).
"""

from jml._loss_specs import SPECS
from jml.errors import UserError

from ._settings import Settings

SHARED = ("memory",)  # flags that are named like the arguments


def check_shared(config: Settings) -> None:
    """Raises a UserError for a flag whose argument the loss does not take."""
    for name in SHARED:
        is_set = getattr(config, name) != getattr(Settings, name)
        if is_set and name not in SPECS[config.loss].takes:
            raise UserError(
                f"--{name}: --loss {config.loss} does not take it; leave it out, or"
                " choose another --loss."
            )


def unused_shared(config: Settings) -> set[str]:
    """The flags of this group that do nothing in a run, because another is not set."""
    return {"memory_warmup"} if config.memory is None else set()
