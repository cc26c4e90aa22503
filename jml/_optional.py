"""Packages that the wheel does not bring: where one is missing, one line says so."""

from collections.abc import Iterable
from typing import Any

from jml.errors import UserError

# What pip calls a package that is imported by another name.
NAMES = {"PIL": "pillow", "fontTools": "fonttools"}


def missing(*modules: str) -> str | None:
    """What to say of those that cannot be imported; None where all can.

    >>> missing("json", "no_such_package")
    'no_such_package, which is not installed; run: pip install no_such_package'
    """
    absent = []
    for module in modules:
        try:
            __import__(module)
        except ImportError as error:
            cause = (error.name or module).partition(".")[0]
            if cause not in modules:  # it is there, but what it needs itself is not
                name = NAMES.get(module, module)
                return (
                    f"{name}, which cannot be imported ({error}); run: pip install"
                    f" --force-reinstall {name}"
                )
            absent.append(NAMES.get(cause, cause))
    absent = list(dict.fromkeys(absent))
    if not absent:
        return None
    listed = " and ".join(filter(None, [", ".join(absent[:-1]), absent[-1]]))
    are = "are" if len(absent) > 1 else "is"
    return f"{listed}, which {are} not installed; run: pip install {' '.join(absent)}"


def need(purpose: str, *modules: str) -> None:
    """Raises a ``UserError`` if one of them cannot be imported.

    >>> need("drawing", "no_such_package")
    Traceback (most recent call last):
    ...
    jml.errors.UserError: drawing needs no_such_package, which is not installed; ...
    """
    if problem := missing(*modules):
        raise UserError(f"{purpose} needs {problem}")


def progress_bar(
    steps: Iterable, name: str | None = None, total: int | None = None
) -> Any:
    """The steps, with a bar on a terminal where tqdm is installed."""
    if missing("tqdm"):
        return steps
    from tqdm import tqdm

    return tqdm(steps, name, total, leave=False, disable=None)
