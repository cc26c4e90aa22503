"""Types of the benchmarks' options, and how a benchmark ends."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from jml.app._command import exit_code, leave


def positive(text: str) -> int:
    """A positive whole number."""
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a positive integer, got {text!r}")
    return int(text)


def positive_number(text: str) -> float:
    """A positive finite number."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, got {text!r}")
    return number


def folder(text: str) -> Path:
    """A path that says something: not that of an unset variable."""
    if not text:
        raise argparse.ArgumentTypeError("must name a folder, got ''")
    return Path(text)


def run(script: str, main: Callable[[], None]) -> NoReturn:
    """Runs a benchmark; a mistake and Ctrl-C end it with one line."""
    leave(exit_code(Path(script).name, main))
