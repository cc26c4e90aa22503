"""Checks on the values of single flags, each ending in one line for the user."""

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from jml._names import quoted
from jml.errors import UserError


def suggest(word: str, known: Sequence[str], *, cutoff: float = 0.6) -> str:
    """Returns "did you mean 'x'?" for the nearest known word, or "" if none is near.

    Words are near whose similarity, as difflib has it, is `cutoff` or more, of 1.

    >>> suggest("tripet", ("triplet", "lifted"))
    "did you mean 'triplet'? "
    """
    near = get_close_matches(word, known, n=1, cutoff=cutoff)
    return f"did you mean {near[0]!r}? " if near else ""


def check_value(name: str, value: Any, kind: Any, rules: Mapping[str, Any]) -> None:
    """Checks one value against its type and the rules in its field's metadata.

    Raises:
        UserError: the value breaks a rule; the message names the flag and both.
    """
    if value is None:
        return
    kind = next((k for k in get_args(kind) if k is not type(None)), kind)
    if kind is bool and not isinstance(value, bool):
        raise UserError(f"--{name}: {quoted(value)} is neither true nor false.")
    if kind is str and not isinstance(value, str):
        raise UserError(f"--{name}: {quoted(value)} is not text.")
    number = not isinstance(value, bool) and isinstance(value, int | float)
    if "choices" in rules and value not in rules["choices"]:
        known = rules["choices"]
        hint = suggest(str(value), known)
        choices = ", ".join(known)
        raise UserError(
            f"--{name}: unknown {quoted(value)}; {hint}choose from {choices}."
        )
    if kind in (int, float) and not number:
        raise UserError(f"--{name}: {quoted(value)} is not a number.")
    if kind is int and not isinstance(value, int):
        raise UserError(f"--{name}: {quoted(value)} is not a whole number.")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    for rule, broken, words in (
        ("minimum", lambda limit: value < limit, "must be at least"),
        ("above", lambda limit: not value > limit, "must be above"),
        ("below", lambda limit: not value < limit, "must be below"),
        ("maximum", lambda limit: value > limit, "must be at most"),
    ):
        if rule in rules and broken(rules[rule]):
            raise UserError(f"--{name}: {quoted(value)} {words} {rules[rule]}.")
    if not math.isfinite(value):
        raise UserError(
            f"--{name}: {quoted(value)} is not finite; pass an ordinary number."
        )
