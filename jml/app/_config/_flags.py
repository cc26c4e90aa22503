"""Declares a field of ``Config``: its group, its help text, the rules on its value."""

from dataclasses import field
from functools import partial
from typing import Any


def flag(group: str, default: Any, text: str, **rules: Any) -> Any:
    """A field, with what the command line and ``check_value`` need in its metadata."""
    return field(default=default, metadata={"group": group, "help": text, **rules})


data, model, loss = (partial(flag, group) for group in ("data", "model", "loss"))
train, run = partial(flag, "training"), partial(flag, "run")
count = {"minimum": 1, "maximum": 2**31 - 1}
natural = {**count, "minimum": 0}
free = {"free": True}  # does not decide the weights: may differ in a resumed run
