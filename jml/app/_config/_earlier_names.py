"""Flags that earlier versions had by another name.

Both names may be passed, and a configuration that was saved has either.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from jml.errors import UserError

from ._settings import Settings

# By the present name.
_EARLIER = {
    item.name: item.metadata["earlier_name"]
    for item in fields(Settings)
    if "earlier_name" in item.metadata
}


def by_present_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings, by the names that flags have now.

    Raises:
        UserError: a setting is there by both names.
    """
    settings = dict(settings)
    for name, earlier in _EARLIER.items():
        if earlier in settings and name in settings:
            raise UserError(
                f"--{earlier}: another spelling of --{name}; pass one of them."
            )
        if earlier in settings:
            settings[name] = settings.pop(earlier)
    return settings


def as_passed(name: str, passed: Collection[str]) -> str:
    """The name by which a setting was passed, or `name` if it was not passed."""
    earlier = _EARLIER.get(name, name)
    return earlier if earlier in passed else name
