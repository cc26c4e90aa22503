"""Evaluates a run, or embeddings in .npy files, and writes a report.

    python -m jml.evaluation runs/NAME
    python -m jml.evaluation embeddings.npy labels.npy [gallery.npy gallery_labels.npy]

``jml evaluate`` is the same.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jml._attempts import Attempts
from jml._names import shell_line
from jml._output import write_err, write_out
from jml._whole_files import cannot_write
from jml.app._command import exit_code
from jml.app._early_exit import loading
from jml.app._evaluate_flags import is_run, parse
from jml.app._flags_of_arguments import of_finished_run

PROGRAM = "python -m jml.evaluation"


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code(program, partial(_run, words, program))


def _run(words: list[str], program: str) -> None:
    options = parse(words, program)
    of_run = is_run(options)
    with loading():
        from jml.app._compile_cache import keep_programs
        from jml.report import missing_packages
    if not options.no_compile_cache:
        keep_programs()
    folder = Path(options.what[0] if of_run else options.out)
    attempts = Attempts()

    def show(evaluation: Any) -> None:
        # Before the report is begun: neither costs the other when it fails.
        with attempts.at("the metrics"):
            write_out(_table(evaluation))

    try:
        if of_run:
            with loading():
                from jml.app._evaluate_run import evaluate_run
            with of_finished_run():
                evaluate_run(
                    folder, dataroot=options.dataroot, notify=write_err, show=show
                )
        else:
            again = [*program.split(), *words]
            if not options.overwrite:  # what stands after -- is no flag
                end = again.index("--") if "--" in again else len(again)
                again.insert(end, "--overwrite")
            with loading():
                from jml.app._evaluate_files import evaluate_files
            evaluate_files(
                options, show=show, notify=write_err, reproduce=shell_line(again)
            )
    except OSError as error:  # the report cannot be written; reading has its own errors
        place = None if of_run else "--out"
        raise cannot_write(folder, error.strerror or error, place) from None
    attempts.check()
    if not missing_packages():
        write_out(f"written: {folder / 'report.html'}")


def _table(evaluation: Any) -> str:
    lines = [f"{evaluation.queries:,} queries"]
    if evaluation.left_out:
        lines[0] += (
            f", {evaluation.left_out:,} more left out: none of their class to find"
        )
    for name, value in evaluation.metrics.items():
        line = f"{name:<16}{100 * value:6.2f} %"
        if name in evaluation.intervals:
            low, high = evaluation.intervals[name]
            line += f"  ({100 * low:.2f} to {100 * high:.2f})"
        lines.append(line)
    return "\n".join(lines)
