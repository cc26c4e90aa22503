"""Writes the index of embeddings that a service loads.

    jml index X.parquet --to faiss
    jml index X.parquet --to usearch

X.parquet is what ``jml embed`` wrote. Ids in the index are the numbers of its rows.
"""

import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from jml._evaluation_limits import METRICS
from jml._names import quoted
from jml._optional import need
from jml.app._command import exit_code
from jml.app._early_exit import loading
from jml.app._parser import Parser, add_no_compile_cache
from jml.app._use._place import problems_of_file

PROGRAM = "jml index"
LIBRARIES = ("faiss", "usearch")
FACTORY = "HNSW32"


def main(arguments: Sequence[str] | None = None, *, program: str = PROGRAM) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    return exit_code(program, partial(_run, arguments, program))


def _make_parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Write the index of embeddings that a service loads.",
        epilog="The ids in the index are the numbers of the rows of X.parquet, from 0.",
    )
    add = parser.add_argument
    add(
        "what",
        type=Path,
        metavar="X.parquet",
        help="embeddings that jml embed wrote",
    )
    add(
        "--to",
        type=parser.value("to", str, choices=LIBRARIES),
        metavar="|".join(LIBRARIES),
        required=True,
        help="library that reads the index",
    )
    add(
        "--factory",
        metavar="STRING",
        help=f'faiss\'s name of an index, such as "IVF1024,PQ32", which is trained on'
        f" the vectors (default: {FACTORY})",
    )
    add(
        "--parameters",
        metavar="NAME=VALUE,...",
        help="faiss's parameters of a search, which the index keeps, such as nprobe=16",
    )
    add(
        "--metric",
        type=parser.value("metric", str, choices=METRICS),
        metavar="|".join(METRICS),
        help="distance (default: that of the model)",
    )
    add("--out", type=Path, metavar="FILE", help="file to write (default: X.faiss)")
    add("--overwrite", action="store_true", help="replacement of an earlier file")
    add(
        "--threads",
        type=parser.value("threads", int, minimum=1),
        metavar="N",
        help="number of threads (default: all cores); with 1 the file is the same each"
        " time",
    )
    add_no_compile_cache(parser)
    return parser


def _run(arguments: Sequence[str] | None, program: str) -> None:
    parser = _make_parser(program)
    options = parser.read(sys.argv[1:] if arguments is None else arguments)
    if not parser.unknown and "to" in options:
        parser.problems += _problems(options)
    parser.check()
    options.factory = options.factory or FACTORY
    with loading():
        need(f"--to {options.to}", options.to)
        from jml.app._compile_cache import keep_programs
        from jml.app._use._index import write_index
    if not options.no_compile_cache:
        keep_programs()
    write_index(options)


def _problems(options: Namespace) -> list[str]:
    """What is wrong with the flags, and with the place; sets the default of --out."""
    problems = [
        f"--{name}: is faiss's; pass --to faiss, or leave it out."
        for name in ("factory", "parameters")
        if getattr(options, name) is not None and options.to != "faiss"
    ]
    # faiss ends the process, or never ends, where a graph has so few neighbours.
    if few := re.search(r"(HNSW|NSG)[01](?!\d)", options.factory or ""):
        problems.append(
            f"--factory: {quoted(few[0])} has too few neighbours; pass 2 or more."
        )
    options.out = options.out or options.what.with_suffix(f".{options.to}")
    return problems + problems_of_file(
        options.out, "--out", overwrite=options.overwrite, inputs=[options.what]
    )
