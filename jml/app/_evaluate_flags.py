"""The flags of ``jml evaluate``, and what can be said of them before JAX is loaded."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jml._evaluation_limits import (
    CLUSTERINGS,
    METRICS,
    MOST_REPEATS,
    largest_first_seed,
)
from jml.app._parser import Parser, add_no_compile_cache
from jml.app._values import check_value
from jml.errors import UserError

# Of the flags that were not passed.
DEFAULTS: dict[str, Any] = {
    "dataroot": None,
    "out": ".",
    "overwrite": False,
    "no_compile_cache": False,
    "metric": "euclidean",
    "ks": None,
    "map_ks": (),
    "clusterings": None,
    "resamples": 1000,
    "seed": 0,
    "images": None,
    "gallery_images": None,
    "groups": None,
    "gallery_groups": None,
    "class_names": None,
}
OF_RUNS = ("dataroot", "no_compile_cache")  # flags that go with the folder of a run


def parse(words: Sequence[str], program: str) -> argparse.Namespace:
    """Turns the arguments of the command `program` into options.

    Raises:
        UserError: all that is wrong with the flags.
        SystemExit: with code 0, after ``--help`` has been printed.
    """
    parser = _make_parser(program)
    options = parser.read(words)
    if not parser.unknown:  # the value of an unknown flag looks like a file
        parser.problems += _problems(vars(options))
    parser.check()
    return argparse.Namespace(**{**DEFAULTS, **vars(options)})


def is_run(options: argparse.Namespace) -> bool:
    """Whether the folder of a run is to be evaluated, and not files."""
    return _is_run(options.what)


def _is_run(what: Sequence[str]) -> bool:
    return len(what) == 1 and Path(what[0]).suffix != ".npy"


def _make_parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Evaluate retrieval and write report.html.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The folder of a run has all settings; only --dataroot and"
        " --no_compile_cache go with it.",
        argument_default=argparse.SUPPRESS,  # the result has what was passed
    )
    add = parser.add_argument
    add(
        "what",
        nargs="+",
        metavar="RUN | FILE.npy",
        help="the folder of a run; or embeddings and their labels in .npy files,"
        " perhaps followed by the embeddings and the labels of a gallery",
    )
    add("--dataroot", help="where a run's data set is now")
    add("--out", help="folder for the report on files (default: .)")
    add(
        "--overwrite",
        action="store_true",
        help="replacement of an earlier report in --out",
    )
    add_no_compile_cache(parser)
    _add_measures(parser)
    images = "images of the {}, one for each label: uint8 [n, side, side, 3]"
    groups = "camera or sequence of each {}: an integer, or -1 for none"
    add("--images", metavar="FILE.npy", help=images.format("queries"))
    add("--gallery_images", metavar="FILE.npy", help=images.format("gallery"))
    add("--groups", metavar="FILE.npy", help=groups.format("query"))
    add("--gallery_groups", metavar="FILE.npy", help=groups.format("gallery item"))
    add(
        "--class_names",
        metavar="FILE.txt",
        help="names of the classes, one a line: that of class 0 first",
    )
    return parser


def _add_measures(parser: Parser) -> None:
    add = parser.add_argument
    repeats = {"minimum": 0, "maximum": MOST_REPEATS}
    add(
        "--metric",
        type=parser.value("metric", str, choices=METRICS),
        metavar="|".join(METRICS),
        help="distance by which the gallery is ranked (default: euclidean)",
    )
    for name, text in (
        ("ks", "numbers k of Recall@k (default: 1 2 4 8)"),
        ("map_ks", "numbers k of MAP@k (default: none)"),
    ):
        convert = parser.value(name, int, minimum=1)
        add(f"--{name}", type=convert, nargs="+", metavar="K", help=text)
    for name, rules, text in (
        (
            "clusterings",
            repeats,
            "number of k-means runs for NMI and AMI; 0 for neither metric (default:"
            f" {CLUSTERINGS}, or 0 where that takes long)",
        ),
        (
            "resamples",
            repeats,
            "number of bootstrap samples for the intervals (default: 1000)",
        ),
        ("seed", {"minimum": 0}, "seed of all randomness (default: 0)"),
    ):
        convert = parser.value(name, int, **rules)
        add(f"--{name}", type=convert, metavar="N", help=text)


def _problems(passed: Mapping[str, Any]) -> list[str]:
    """What is wrong with the arguments taken together; `passed` has no defaults."""
    what = passed["what"]
    if _is_run(what):
        return [
            f"--{name}: is for files; a run has its own settings."
            for name in DEFAULTS
            if name in passed and name not in OF_RUNS
        ]
    problems = []
    if "seed" in passed:
        clusterings = passed.get("clusterings", CLUSTERINGS)
        largest = {"maximum": largest_first_seed(clusterings)}
        try:
            check_value("seed", passed["seed"], int, largest)
        except UserError as error:
            problems.append(str(error))
    if "dataroot" in passed:
        problems.append("--dataroot: is for the folder of a run, not for files.")
    if len(what) not in (2, 4):
        problems.append(
            f"pass embeddings and labels, or those and a gallery's, got {len(what)}"
            " files."
        )
        return problems
    for name in ("images", "groups"):
        both = [name in passed, f"gallery_{name}" in passed]
        if both not in ([False, False], [True, len(what) == 4]):
            problems.append(
                f"--{name} and --gallery_{name}: with a gallery pass both; without one,"
                f" --{name} alone."
            )
    return problems
