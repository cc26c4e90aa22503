"""Trains a network: the command around ``jml.app._train``."""

import sys
from collections.abc import Sequence
from functools import partial

from jml._output import write_err
from jml.app._command import exit_code
from jml.app._config import parse
from jml.app._early_exit import loading


def main(arguments: Sequence[str] | None = None, *, program: str = "jml train") -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    words = sys.argv[1:] if arguments is None else arguments
    return exit_code(program, partial(_run, words, program))


def _run(words: Sequence[str], program: str) -> None:
    config = parse(words, program)
    for note in config.notes:
        write_err(f"{program}: note: {note}")
    # JAX loads only now: --help and mistyped flags need not wait for it.
    with loading():
        from jml.app._train import train_and_evaluate
        from jml.training import keep_freed_memory
    keep_freed_memory()
    train_and_evaluate(config).check()
