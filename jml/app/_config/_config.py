"""What a run is: one frozen ``Config``, completed by defaults and checked.

Only the standard library is imported here (see the package docstring).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, get_type_hints

from jml.app._values import check_value
from jml.errors import UserError

from ._consistency import check_consistency
from ._defaults import (
    BY_DATASET,
    BY_LOSS,
    BY_MINER,
    BY_WEIGHTS,
    canonical_dataset,
    kind_of,
)
from ._model_settings import rules_of
from ._notes import notes
from ._settings import Settings
from ._shared_arguments import check_passed


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """Everything a training run depends on; one field per flag of the command.

    A field that is None is filled from ``BY_DATASET``, ``BY_WEIGHTS``, ``BY_LOSS`` and
    ``BY_MINER``, so a ``Config`` that exists is complete: only ``dataroot``, ``name``,
    ``cuda`` and what the loss or the miner does not have may still be None.

    Raises:
        UserError: a value is out of range or contradicts another; names the flag.

    >>> Config(loss="triplet").mining
    'semi'
    """

    # Names of fields: those filled in here, and those of the flags on a command line.
    filled: ClassVar[frozenset[str]] = frozenset()
    passed: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        """Checks the values, fills in the defaults, and checks their consistency."""
        empty = (item.name for item in fields(self) if getattr(self, item.name) is None)
        object.__setattr__(self, "filled", frozenset(empty))
        settings = {item.name: getattr(self, item.name) for item in fields(self)}
        if problems := problems_of(settings):
            raise UserError(" ".join(problems))
        self._fill(dataset="folder" if self.dataroot is not None else "glyphs")
        object.__setattr__(self, "dataset", canonical_dataset(self.dataset))
        self._fill(**BY_DATASET[kind_of(self.dataset)], **BY_LOSS[self.loss])
        self._fill(**BY_MINER[self.miner])
        self._fill(**BY_WEIGHTS["none" if self.weights == "none" else "imagenet|PATH"])
        check_consistency(self)

    @classmethod
    def of_flags(cls, settings: Mapping[str, Any], passed: Collection[str]) -> "Config":
        """The configuration by a command line: `settings`, `passed` by these names."""
        config = cls(**settings)
        check_passed(config, passed)
        object.__setattr__(config, "passed", frozenset(passed))
        return config

    def _fill(self, **defaults: Any) -> None:
        for name, value in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)  # the dataclass is frozen

    def resumed_from(self, saved: Mapping[str, Any]) -> "Config":
        """This configuration for a run that a checkpoint of another begins.

        The checkpoint holds all parameters, so that --weights has no effect any more.
        The run keeps the --weights that it began with, and the defaults that depend on
        them.
        """
        names = {"weights"} | (BY_WEIGHTS["none"].keys() & self.filled)
        return replace(self, **{name: saved[name] for name in names & saved.keys()})

    @property
    def notes(self) -> tuple[str, ...]:
        """One line for each flag of the command line without an effect in this run."""
        return notes(self, self.passed)


def problems_of(settings: Mapping[str, Any]) -> list[str]:
    """A sentence for each of these values that its field does not allow."""
    kinds, problems = get_type_hints(Config), []
    known = {item.name: item for item in fields(Config)}
    loss = settings.get("loss", Config.loss)
    for name, value in settings.items():
        try:
            if value is None and known[name].default is not None:
                raise UserError(
                    f"--{name}: None is no value; pass one, or leave it out."
                )
            rules = {**known[name].metadata, **rules_of(loss, name)}
            check_value(name, value, kinds[name], rules)
            if name == "dataset" and value is not None:
                canonical_dataset(value)
        except UserError as error:
            problems.append(str(error))
    return problems
