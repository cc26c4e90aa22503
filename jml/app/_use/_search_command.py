"""Searches for the images that are most like others.

    jml search X.parquet query.jpg
    jml search runs/NAME query.jpg

X.parquet is what ``jml embed`` wrote; of a run its own test images are searched.
"""

import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from jml._evaluation_limits import METRICS
from jml._optional import need
from jml.app._command import exit_code
from jml.app._early_exit import loading
from jml.app._parser import Parser, add_no_compile_cache
from jml.app._use._place import problems_of_file

PROGRAM = "jml search"
TOP = 20


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    return exit_code(program, partial(_run, arguments, program))


def _make_parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Search for the images that are most like others.",
        epilog="The search is exact and leaves nothing out: a query that is among the"
        " images, or a copy of it, is listed at distance 0.",
    )
    add = parser.add_argument
    add(
        "what",
        type=Path,
        metavar="RUN | X.parquet",
        help="what is searched: embeddings that jml embed wrote, or a run's own test"
        " images",
    )
    add(
        "queries",
        nargs="+",
        metavar="QUERY.jpg",
        help="image to search for; several may be passed",
    )
    add(
        "--top",
        type=parser.value("top", int, minimum=1),
        default=TOP,
        metavar="N",
        help=f"number of images to list for each query (default: {TOP})",
    )
    add(
        "--metric",
        type=parser.value("metric", str, choices=METRICS),
        metavar="|".join(METRICS),
        help="distance (default: that of the model)",
    )
    add("--html", type=Path, metavar="FILE", help="page of the pictures to write")
    add("--overwrite", action="store_true", help="replacement of an earlier page")
    add("--model", type=Path, metavar="RUN", help="where the model of X.parquet is now")
    add("--best", action="store_true", help="weights of the best Recall@1 of RUN")
    add("--dataroot", metavar="FOLDER", help="where the data set of RUN is now")
    add_no_compile_cache(parser)
    return parser


def _run(arguments: Sequence[str] | None, program: str) -> None:
    parser = _make_parser(program)
    options = parser.read(sys.argv[1:] if arguments is None else arguments)
    if not parser.unknown:
        parser.problems += _problems(options)
    parser.check()
    with loading():
        need("reading images", "PIL", "safetensors")
        from jml.app._compile_cache import keep_programs
        from jml.app._use._gallery import is_run
        from jml.app._use._search import search
    of_run = is_run(options.what)
    parser.problems += _needless(options, of_run)
    parser.check()
    if not options.no_compile_cache:
        keep_programs()
    search(options, of_run)


def _problems(options: Namespace) -> list[str]:
    if options.html is None:
        return []
    return problems_of_file(
        options.html,
        "--html",
        overwrite=options.overwrite,
        inputs=[options.what, *options.queries],
    )


def _needless(options: Namespace, of_run: bool) -> list[str]:
    """What is wrong with flags that go with a run, or with a file, alone."""
    if of_run:
        flags, goes_with = {"model": options.model}, "embeddings; leave it out."
    else:
        flags = {"best": options.best or None, "dataroot": options.dataroot}
        goes_with = "the folder of a run; leave it out."
    return [
        f"--{name}: goes with {goes_with}"
        for name, value in flags.items()
        if value is not None
    ]
