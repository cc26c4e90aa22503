"""The flags of ``jml evaluate``, and what can be said of them before JAX is loaded."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jml.app._parser import Parser

_IMAGES = "images of the {}, one for each label: uint8 [n, side, side, 3]"
_GROUPS = "camera or sequence of each {}: an integer, or -1 for none"
# What argparse takes for each flag; and the kind and the rules of its values.
FLAGS: dict[str, dict[str, Any]] = {
    "--dataroot": {"help": "where a run's data set is now"},
    "--out": {"default": ".", "help": "folder for the report on files (default: .)"},
    "--overwrite": {
        "action": "store_true",
        "help": "replacement of an earlier report in --out",
    },
    "--metric": {
        "default": "euclidean",
        "rules": {"choices": ("euclidean", "cosine")},
        "metavar": "euclidean|cosine",
        "help": "distance by which the gallery is ranked (default: euclidean)",
    },
    "--ks": {
        "kind": int,
        "rules": {"minimum": 1},
        "nargs": "+",
        "metavar": "K",
        "help": "numbers k of Recall@k (default: 1 2 4 8)",
    },
    "--map_ks": {
        "kind": int,
        "rules": {"minimum": 1},
        "nargs": "+",
        "metavar": "K",
        "default": (),
        "help": "numbers k of MAP@k (default: none)",
    },
    "--clusterings": {
        "kind": int,
        "rules": {"minimum": 0, "maximum": 10**6},
        "metavar": "N",
        "help": "number of k-means runs for NMI and AMI; 0 for neither metric"
        " (default: 5, or 0 where that takes long)",
    },
    "--resamples": {
        "kind": int,
        "rules": {"minimum": 0, "maximum": 10**6},
        "default": 1000,
        "metavar": "N",
        "help": "number of bootstrap samples for the intervals (default: 1000)",
    },
    "--seed": {
        "kind": int,
        "rules": {"minimum": 0, "maximum": 2**31 - 1},
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


def parse(words: Sequence[str], program: str) -> argparse.Namespace:
    """Turns the arguments of the command `program` into options.

    Raises:
        UserError: all that is wrong with the flags.
        SystemExit: with code 0, after ``--help`` has been printed.
    """
    parser = _make_parser(program)
    options = parser.read(words)
    parser.problems += _problems(parser, options)
    parser.check()
    return options


def is_run(options: argparse.Namespace) -> bool:
    """Whether the folder of a run is to be evaluated, and not files."""
    return len(options.what) == 1 and Path(options.what[0]).suffix != ".npy"


def _make_parser(program: str) -> Parser:
    parser = Parser(
        prog=program,
        description="Evaluate retrieval and write report.html.",
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
    for flag, entries in FLAGS.items():
        options = dict(entries)
        kind, rules = options.pop("kind", str), options.pop("rules", {})
        if "action" not in options:
            options["type"] = parser.value(flag.removeprefix("--"), kind, **rules)
        parser.add_argument(flag, **options)
    return parser


def _problems(parser: Parser, options: argparse.Namespace) -> list[str]:
    """What is wrong with the flags taken together."""
    passed = {
        name: value != parser.get_default(name)
        for name, value in vars(options).items()
        if name != "what"
    }
    if is_run(options):
        return [
            f"--{name}: is for files; a run has its own settings."
            for name in passed
            if passed[name] and name != "dataroot"
        ]
    problems = []
    if passed["dataroot"]:
        problems.append("--dataroot: is for the folder of a run, not for files.")
    if len(options.what) not in (2, 4):
        problems.append(
            "pass embeddings and labels, or those and a gallery's, got"
            f" {len(options.what)} files."
        )
        return problems
    for name in ("images", "groups"):
        both = [passed[name], passed[f"gallery_{name}"]]
        if both not in ([False, False], [True, len(options.what) == 4]):
            problems.append(
                f"--{name} and --gallery_{name}: with a gallery pass both; without one,"
                f" --{name} alone."
            )
    return problems
