"""Imports of public names on their first use, for packages that load quickly.

Only the standard library is imported here, and no other module of jml.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any


def import_on_first_use(
    package: str, homes: Mapping[str, str | None], *, also: tuple[str, ...] = ()
) -> None:
    """Gives a package its ``__all__``, ``__getattr__`` (PEP 562) and ``__dir__``.

    Type checkers do not see that. The package imports the same names where only they
    read it, under ``TYPE_CHECKING``.

    Args:
        package: its ``__name__``.
        homes: for each public name the module of the package that defines it; None for
            a name that is itself a module of the package.
        also: public names that the package defines at once.
    """
    module = sys.modules[package]
    names = sorted([*homes, *also])

    def import_name(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        value = import_module(f"{package}.{home or name}")
        if home is not None:
            value = getattr(value, name)
        setattr(module, name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*names, "__doc__", "__file__", "__name__", "__path__"})

    vars(module).update(__all__=names, __getattr__=import_name, __dir__=list_names)
