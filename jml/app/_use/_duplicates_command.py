"""Finds images that are near each other, and writes lists of them.

``jml duplicates X.parquet``; X.parquet is what ``jml embed`` wrote.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from jml._evaluation_limits import METRICS
from jml._names import quoted
from jml._whole_files import cannot_write
from jml.app._command import exit_code
from jml.app._early_exit import loading
from jml.app._parser import Parser, add_no_compile_cache
from jml.app._use._duplicate_groups import LIST, PAGE

PROGRAM = "jml duplicates"
SHOWN = 50  # groups


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    return exit_code(program, partial(_run, arguments, program))


def _make_parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Find images that are near each other: copies, and near copies.",
        epilog=f"{LIST} and {PAGE} list the groups; images of a group are connected by"
        " chains of near pairs.",
    )
    add = parser.add_argument
    add(
        "embeddings",
        type=Path,
        metavar="X.parquet",
        help="embeddings that jml embed wrote",
    )
    add(
        "--threshold",
        type=parser.value("threshold", float, minimum=0),
        metavar="T",
        help="largest distance of a near pair (default: that of jml threshold, if it"
        " was run; otherwise only images that are equal up to rounding)",
    )
    add(
        "--metric",
        type=parser.value("metric", str, choices=METRICS),
        metavar="|".join(METRICS),
        help="distance (default: that of the model)",
    )
    add("--model", type=Path, metavar="RUN", help="where the model is now")
    add(
        "--out",
        type=Path,
        default=Path("."),
        metavar="FOLDER",
        help=f"folder for {LIST} and {PAGE} (default: .)",
    )
    add("--overwrite", action="store_true", help="replacement of earlier files there")
    add(
        "--show",
        type=parser.value("show", int, minimum=0),
        default=SHOWN,
        metavar="N",
        help=f"number of groups to print (default: {SHOWN})",
    )
    add_no_compile_cache(parser)
    return parser


def _run(arguments: Sequence[str] | None, program: str) -> None:
    parser = _make_parser(program)
    options = parser.read(sys.argv[1:] if arguments is None else arguments)
    parser.problems += _problems(options)
    parser.check()
    with loading():
        from jml.app._compile_cache import keep_programs
        from jml.app._use._duplicates import report_duplicates
    if not options.no_compile_cache:
        keep_programs()
    report_duplicates(options)


def _problems(options: argparse.Namespace) -> list[str]:
    """What is wrong with the place of the results."""
    problems, out = [], options.out
    earlier = [name for name in (LIST, PAGE) if os.path.lexists(out / name)]
    if earlier and not options.overwrite:
        problems.append(
            f"--out: {quoted(out / earlier[0])} exists; choose another folder, or pass"
            " --overwrite."
        )
    place = out
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = os.strerror(errno.EACCES if place.is_dir() else errno.ENOTDIR)
        problems.append(str(cannot_write(out, reason, "--out")))
    return problems
