"""Evaluates a run, or embeddings in .npy files, and writes a report.

    python -m jml.evaluation runs/NAME
    python -m jml.evaluation embeddings.npy labels.npy [gallery.npy gallery_labels.npy]

``jml evaluate`` is the same.
"""

import argparse
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
from jml.app._parser import Parser
from jml.errors import UserError

PROGRAM = "python -m jml.evaluation"

_IMAGES = "images of the {}, one for each label: uint8 [n, side, side, 3]"
_GROUPS = "camera or sequence of each {}: an integer, or -1 for none"
FLAGS: dict[str, dict[str, Any]] = {
    "--dataroot": {"help": "where a run's data set is now"},
    "--out": {"default": ".", "help": "folder for the report on files (default: .)"},
    "--overwrite": {
        "action": "store_true",
        "help": "replacement of an earlier report in --out",
    },
    "--metric": {
        "default": "euclidean",
        "choices": ("euclidean", "cosine"),
        "help": "distance by which the gallery is ranked (default: euclidean)",
    },
    "--ks": {
        "type": int,
        "nargs": "+",
        "metavar": "K",
        "help": "numbers k of Recall@k (default: 1 2 4 8)",
    },
    "--map_ks": {
        "type": int,
        "nargs": "+",
        "metavar": "K",
        "default": (),
        "help": "numbers k of MAP@k (default: none)",
    },
    "--clusterings": {
        "type": int,
        "metavar": "N",
        "help": "number of k-means runs for NMI and AMI; 0 for neither metric"
        " (default: 5, or 0 where that takes long)",
    },
    "--resamples": {
        "type": int,
        "default": 1000,
        "metavar": "N",
        "help": "number of bootstrap samples for the intervals (default: 1000)",
    },
    "--seed": {
        "type": int,
        "default": 0,
        "metavar": "N",
        "help": "seed of all randomness (default: 0)",
    },
    "--images": {"metavar": "FILE.npy", "help": _IMAGES.format("queries")},
    "--gallery_images": {"metavar": "FILE.npy", "help": _IMAGES.format("gallery")},
    "--groups": {"metavar": "FILE.npy", "help": _GROUPS.format("query")},
    "--gallery_groups": {"metavar": "FILE.npy", "help": _GROUPS.format("gallery item")},
    "--class_names": {
        "metavar": "FILE.txt",
        "help": "names of the classes, one a line: that of class 0 first",
    },
}


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code(program, partial(_run, words, program))


def _make_parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Evaluate retrieval and write report.html.",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The folder of a run has all settings; only --dataroot goes with it.",
    )
    parser.add_argument(
        "what",
        nargs="+",
        metavar="RUN | FILE.npy",
        help="the folder of a run; or embeddings and their labels in .npy files,"
        " perhaps followed by the embeddings and the labels of a gallery",
    )
    for name, rules in FLAGS.items():
        parser.add_argument(name, **rules)
    return parser


def _run(words: list[str], program: str) -> None:
    parser = _make_parser(program)
    options = parser.parse_args(words)
    of_run = len(options.what) == 1 and Path(options.what[0]).suffix != ".npy"
    _check_flags(parser, options, of_run)
    with loading():
        from jml.report import missing_packages
    folder = Path(options.what[0] if of_run else options.out)
    attempts = Attempts()

    def show(evaluation: Any) -> None:
        # Before the report is begun: neither costs the other when it fails.
        with attempts.at("the metrics"):
            write_out(_table(evaluation))

    try:
        if of_run:
            with loading():
                from jml.app._report import evaluate_run
            evaluate_run(folder, dataroot=options.dataroot, notify=write_err, show=show)
        else:
            again = [*program.split(), *words]
            again += ["--overwrite"] * (not options.overwrite)
            with loading():
                from jml.app._evaluate_files import evaluate_files
            evaluate_files(
                options, show=show, notify=write_err, reproduce=shell_line(again)
            )
    except OSError as error:  # the report cannot be written; reading has its own errors
        raise cannot_write(folder, error.strerror or error, "--out") from None
    attempts.check()
    if not missing_packages():
        write_out(f"written: {folder / 'report.html'}")


def _check_flags(parser: Parser, options: argparse.Namespace, of_run: bool) -> None:
    for name, value in vars(options).items():
        if value == parser.get_default(name) or name == "what":
            continue
        if of_run and name != "dataroot":
            raise UserError(f"--{name}: is for files; a run has its own settings.")
        if not of_run and name == "dataroot":
            raise UserError("--dataroot: is for the folder of a run, not for files.")


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
