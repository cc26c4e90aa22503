"""Checks of the arguments of public functions that are no arrays."""

import os
from pathlib import Path
from typing import Any

from ._checks import is_integer


def check_integer(name: str, argument: str, value, *, least: int | None = 0) -> None:
    """Raises ValueError unless `value` is an integer, and not below `least`."""
    if not is_integer(value) or (least is not None and value < least):
        bound = "" if least is None else f" from {least}"
        raise ValueError(
            f"{name}: `{argument}` must be an integer{bound}, got {described(value)}"
        )


def check_type(name: str, argument: str, value, kinds: Any, words: str) -> None:
    """Raises ValueError unless `value` is one of `kinds`, which `words` describe."""
    if not isinstance(value, kinds):
        raise ValueError(
            f"{name}: `{argument}` must be {words}, got {described(value)}"
        )


def check_fields(name: str, argument: str, value, fields: str, words: str) -> None:
    """Raises ValueError unless `value` has these attributes, separated by blanks."""
    if not all(hasattr(value, field) for field in fields.split()):
        raise ValueError(
            f"{name}: `{argument}` must be {words}, got {described(value)}"
        )


def check_functions(name: str, *, optional: bool = False, **functions: Any) -> None:
    """Raises ValueError unless all can be called, or are None if `optional`."""
    for argument, value in functions.items():
        if not callable(value) and not (optional and value is None):
            words = "a function or None" if optional else "a function"
            raise ValueError(
                f"{name}: `{argument}` must be {words}, got {described(value)}"
            )


def check_path(name: str, argument: str, value) -> Path:
    """Raises ValueError unless `value` can be a path.

    Returns:
        The path.
    """
    check_type(name, argument, value, (str, os.PathLike), "a path")
    if "\0" in os.fspath(value):
        raise ValueError(f"{name}: `{argument}` holds a null character: {value!r}")
    return Path(value)


def described(value: object) -> str:
    """The value where it is short, and otherwise its type."""
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else f"a {type(value).__name__}"
