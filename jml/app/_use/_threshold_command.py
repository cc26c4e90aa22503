"""Finds the distances at which two images count as the same.

    jml threshold runs/NAME

They are written into the run's folder, as threshold.json.
"""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from jml._evaluation_limits import LARGEST_SEED, METRICS
from jml._names import quoted
from jml._optional import need
from jml.app._command import exit_code
from jml.app._early_exit import loading
from jml.app._parser import Parser, add_no_compile_cache
from jml.errors import UserError

PROGRAM = "jml threshold"


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    return exit_code(program, partial(_run, arguments, program))


def _make_parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Find the distances at which two images count as the same.",
        epilog="All pairs of the run's test images are compared, queries and gallery"
        " together, but for images of classes that were trained on. The result replaces"
        " that of an earlier call: threshold.json in the run's folder.",
    )
    add = parser.add_argument
    add("run", type=Path, help="folder of the run")
    add(
        "--metric",
        type=parser.value("metric", str, choices=METRICS),
        metavar="|".join(METRICS),
        help="distance (default: that of the model)",
    )
    add("--best", action="store_true", help="weights of the best Recall@1")
    add(
        "--seed",
        type=parser.value("seed", int, minimum=0, maximum=LARGEST_SEED),
        default=0,
        metavar="N",
        help="seed of all that is drawn (default: 0)",
    )
    add("--dataroot", metavar="FOLDER", help="where the run's data set is now")
    add_no_compile_cache(parser)
    return parser


def _run(arguments: Sequence[str] | None, program: str) -> None:
    parser = _make_parser(program)
    options = parser.read(sys.argv[1:] if arguments is None else arguments)
    parser.check()
    with loading():
        need("reading images", "PIL", "safetensors")
        from jml.app._compile_cache import keep_programs
        from jml.app._use._threshold import find_threshold
    if options.run.exists() and not options.run.is_dir():
        raise UserError(f"{quoted(options.run)} is a file; pass the folder of a run.")
    if not options.no_compile_cache:
        keep_programs()
    find_threshold(options)
