"""Evaluates a run, or embeddings from anywhere, and writes a report.

    python -m jml.evaluation runs/NAME
    python -m jml.evaluation embeddings.npy labels.npy [gallery.npy gallery_labels.npy]

A command stands above all layers: it calls the training package for a run's folder.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jml._attempts import Attempts
from jml._names import shell_line
from jml._optional import progress_bar
from jml._output import write_err, write_out
from jml.app._array_files import (
    about_files,
    load_array,
    load_class_names,
    load_groups,
    load_images,
    load_of_items,
)
from jml.app._command import exit_code
from jml.app._flags_of_arguments import with_flags
from jml.app._parser import Parser
from jml.errors import UserError

PROGRAM = "python -m jml.evaluation"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code, which ``jml.app._command`` explains."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code(PROGRAM, lambda: _run(given))


def _make_parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        description="Evaluate retrieval and write report.html.",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="With a run's folder only --dataroot applies: the run has the rest.",
    )
    add = parser.add_argument
    add(
        "what",
        nargs="+",
        metavar="RUN | FILE.npy",
        help="a run's folder; or embeddings and labels, and perhaps those of a gallery",
    )
    add("--dataroot", help="of a run: where its data set is now")
    add("--out", default=".", help="of files: folder for the report (default: .)")
    add("--overwrite", action="store_true", help="replace a report in --out")
    add("--metric", default="euclidean", choices=("euclidean", "cosine"))
    add("--ks", type=int, nargs="+", metavar="K", help="for Recall@K")
    add("--map_ks", type=int, nargs="+", metavar="K", default=(), help="for MAP@K")
    add("--clusterings", type=int, metavar="N", help="runs of k-means")
    add("--resamples", type=int, default=1000, metavar="N", help="for the intervals")
    add("--seed", type=int, default=0, metavar="N", help="of all randomness")
    add("--images", metavar="FILE.npy", help="what the embeddings are of: uint8 NHWC")
    add("--gallery_images", metavar="FILE.npy", help="the same for the gallery")
    add("--groups", metavar="FILE.npy", help="camera or sequence of items, -1: none")
    add("--gallery_groups", metavar="FILE.npy", help="the same for the gallery")
    add("--class_names", metavar="FILE.txt", help="line i, from 0, names class i")
    return parser


def _run(given: list[str]) -> None:
    parser = _make_parser()
    options = parser.parse_args(given)
    folder = Path(options.what[0])
    of_run = len(options.what) == 1 and folder.suffix != ".npy"
    for name, value in vars(options).items():
        if value != parser.get_default(name) and name != "what":
            if of_run and name != "dataroot":
                raise UserError(f"--{name}: is for files; a run has its own settings.")
            if not of_run and name == "dataroot":
                raise UserError(
                    "--dataroot: is for the folder of a run, not for files."
                )
    from jml.report import missing_packages

    folder = folder if of_run else Path(options.out)
    attempts = Attempts()

    def show(found: Any) -> None:  # first: no report costs the metrics, nor they it
        with attempts.at("the metrics"):
            write_out(_table(found))

    try:
        if of_run:
            from jml.app._report import evaluate_run

            evaluate_run(
                folder, dataroot=options.dataroot, say=_report_line, evaluated=show
            )
        else:
            _evaluate_files(options, given, show)
    except OSError as error:  # of the report; what is read has been
        raise UserError(
            f"--out: cannot write to {str(folder)!r}: {error.strerror or error}; free"
            " or choose another place."
        ) from None
    attempts.check()
    if not missing_packages():
        write_out(f"written: {folder / 'report.html'}")


def _evaluate_files(
    options: argparse.Namespace, given: list[str], show: Callable[[Any], None]
) -> None:
    from jml.evaluation import evaluate
    from jml.report import Items, missing_packages, write_report

    if len(options.what) not in (2, 4):
        raise UserError(
            f"pass embeddings and labels, or those and a gallery's, got"
            f" {len(options.what)} files."
        )
    out, problem = Path(options.out), missing_packages()
    if not problem:
        _check_out(out, options.overwrite)
    arrays = [load_array(path) for path in options.what]
    images = load_of_items(options, "images", load_images, arrays[1::2])
    groups = load_of_items(options, "groups", load_groups, arrays[1::2])
    class_names = load_class_names(options.class_names)
    write_err("evaluating")
    try:
        found = evaluate(
            *arrays,
            ks=options.ks,
            map_ks=options.map_ks,
            metric=options.metric,
            clusterings=options.clusterings,
            resamples=options.resamples,
            seed=options.seed,
            **dict(zip(("groups", "gallery_groups"), groups, strict=False)),
            progress=progress_bar,
        )
    except ValueError as error:
        raise UserError(about_files(str(error), options.what)) from None
    show(found)
    if options.clusterings is None and "nmi" not in found.metrics:
        write_err("no NMI and AMI: k-means would take long; --clusterings 5 has it run")
    if options.groups is not None:
        write_err("groups are in use: a ranking leaves out the query's class and group")
    if problem:
        write_err(f"no report: it needs {problem}")
        return
    items = [
        Items(x, labels, pictures, groups=group)
        for x, labels, pictures, group in zip(
            arrays[::2], arrays[1::2], images, groups, strict=True
        )
    ]
    again = [*PROGRAM.split(), *given, *["--overwrite"] * (not options.overwrite)]
    write_report(
        out,
        Path(options.what[0]).stem,
        items[0],
        items[1] if len(items) > 1 else None,
        found,
        class_names=class_names,
        metric=options.metric,
        reproduce={"Evaluate again": shell_line(again)},
        seed=options.seed,
        say=_report_line,
    )


def _report_line(line: str) -> None:
    write_err(with_flags(line))


def _check_out(out: Path, overwrite: bool) -> None:
    from jml.report import FILES

    earlier = next((name for name in FILES if (out / name).exists()), None)
    if earlier and not overwrite:
        raise UserError(
            f"--out: {str(out / earlier)!r} exists; choose another folder, or pass"
            " --overwrite to replace that report."
        )
    place = out
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise UserError(
            f"--out: cannot write to {str(out)!r}; choose a folder that you may write"
            " to."
        )


def _table(found: Any) -> str:
    lines = [f"{found.queries:,} queries"]
    if found.left_out:
        lines[0] += f", {found.left_out:,} more left out: none of their class to find"
    for name, value in found.metrics.items():
        line = f"{name:<16}{100 * value:6.2f} %"
        if name in found.intervals:
            low, high = found.intervals[name]
            line += f"  ({100 * low:.2f} to {100 * high:.2f})"
        lines.append(line)
    return "\n".join(lines)
