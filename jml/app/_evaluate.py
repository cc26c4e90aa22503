"""Evaluates a run, or embeddings in .npy files, and writes a report.

    python -m jml.evaluation runs/NAME
    python -m jml.evaluation embeddings.npy labels.npy [gallery.npy gallery_labels.npy]

``jml evaluate`` is the same.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jml._attempts import Attempts
from jml._names import shell_line
from jml._optional import progress_bar
from jml._output import write_err, write_out
from jml.app._array_files import ArrayFiles, about_files, read_files
from jml.app._command import exit_code
from jml.app._flags_of_arguments import with_flags
from jml.app._parser import Parser
from jml.errors import UserError

PROGRAM = "python -m jml.evaluation"


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
    add = parser.add_argument
    add(
        "what",
        nargs="+",
        metavar="RUN | FILE.npy",
        help="the folder of a run; or embeddings and their labels in .npy files,"
        " perhaps followed by the embeddings and the labels of a gallery",
    )
    add("--dataroot", help="present place of a run's data set")
    add("--out", default=".", help="folder for the report on files (default: .)")
    add("--overwrite", action="store_true", help="replace an earlier report in --out")
    add(
        "--metric",
        default="euclidean",
        choices=("euclidean", "cosine"),
        help="distance by which the gallery is ranked (default: euclidean)",
    )
    add("--ks", type=int, nargs="+", metavar="K", help="numbers k of Recall@k")
    add(
        "--map_ks",
        type=int,
        nargs="+",
        metavar="K",
        default=(),
        help="numbers k of MAP@k",
    )
    add(
        "--clusterings",
        type=int,
        metavar="N",
        help="number of k-means runs for NMI and AMI; 0 for neither metric",
    )
    add(
        "--resamples",
        type=int,
        default=1000,
        metavar="N",
        help="number of bootstrap samples for the intervals (default: 1000)",
    )
    add("--seed", type=int, default=0, metavar="N", help="seed of all randomness")
    images = "images of the {}, in the order of its labels: uint8 [n, side, side, 3]"
    add("--images", metavar="FILE.npy", help=images.format("embeddings"))
    add("--gallery_images", metavar="FILE.npy", help=images.format("gallery"))
    groups = "camera or sequence of each item of the {}: an integer, or -1 for none"
    add("--groups", metavar="FILE.npy", help=groups.format("embeddings"))
    add("--gallery_groups", metavar="FILE.npy", help=groups.format("gallery"))
    add(
        "--class_names",
        metavar="FILE.txt",
        help="names of the classes, one a line: that of class 0 first",
    )
    return parser


def _run(words: list[str], program: str) -> None:
    parser = _make_parser(program)
    options = parser.parse_args(words)
    of_run = len(options.what) == 1 and Path(options.what[0]).suffix != ".npy"
    _check_flags(parser, options, of_run)
    from jml.report import missing_packages

    folder = Path(options.what[0] if of_run else options.out)
    attempts = Attempts()

    def show(evaluation: Any) -> None:
        # Before the report is begun: neither costs the other when it fails.
        with attempts.at("the metrics"):
            write_out(_table(evaluation))

    try:
        if of_run:
            from jml.app._report import evaluate_run

            evaluate_run(
                folder, dataroot=options.dataroot, notify=_report_line, show=show
            )
        else:
            again = [*program.split(), *words]
            again += ["--overwrite"] * (not options.overwrite)
            _evaluate_files(options, show, reproduce=shell_line(again))
    except OSError as error:  # the report cannot be written; reading has its own errors
        raise UserError(
            f"--out: cannot write to {str(folder)!r}: {error.strerror or error}; free"
            " space there, or choose another place."
        ) from None
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


def _evaluate_files(
    options: argparse.Namespace, show: Callable[[Any], None], *, reproduce: str
) -> None:
    from jml.report import EmbeddedImages, missing_packages, write_report

    if len(options.what) not in (2, 4):
        raise UserError(
            f"pass embeddings and labels, or those and a gallery's, got"
            f" {len(options.what)} files."
        )
    out, problem = Path(options.out), missing_packages()
    if not problem:
        _check_out(out, options.overwrite)
    files = read_files(options)
    evaluation = _evaluate_arrays(files, options)
    show(evaluation)
    if options.clusterings is None and "nmi" not in evaluation.metrics:
        write_err(
            "no NMI and AMI: k-means would take long; --clusterings 5 computes them"
        )
    if options.groups is not None:
        write_err("groups are in use: a ranking leaves out the query's class and group")
    if problem:
        write_err(f"no report: it needs {problem}")
        return
    items = [
        EmbeddedImages(x, labels, images, groups=groups)
        for x, labels, images, groups in zip(
            files.arrays[::2],
            files.arrays[1::2],
            files.images,
            files.groups,
            strict=True,
        )
    ]
    write_report(
        out,
        Path(options.what[0]).stem,
        items[0],
        items[1] if len(items) > 1 else None,
        evaluation,
        class_names=files.class_names,
        metric=options.metric,
        reproduce={"Evaluate again": reproduce},
        seed=options.seed,
        notify=_report_line,
    )


def _evaluate_arrays(files: ArrayFiles, options: argparse.Namespace) -> Any:
    from jml.evaluation import evaluate

    write_err("evaluating")
    try:
        return evaluate(
            *files.arrays,
            ks=options.ks,
            map_ks=options.map_ks,
            metric=options.metric,
            clusterings=options.clusterings,
            resamples=options.resamples,
            seed=options.seed,
            **dict(zip(("groups", "gallery_groups"), files.groups, strict=False)),
            progress=progress_bar,
        )
    except ValueError as error:
        raise UserError(about_files(str(error), options.what)) from None


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
