"""Evaluates embeddings in .npy files, and writes a report on them."""

import argparse
import errno
import os
from collections.abc import Callable
from pathlib import Path

from jml._names import quoted
from jml._optional import progress_bar
from jml._output import write_err
from jml._whole_files import cannot_write
from jml.app._array_files import ArrayFiles, about_files, read_files
from jml.errors import UserError
from jml.evaluation import Evaluation, evaluate
from jml.report import FILES, EmbeddedImages, missing_packages, write_report


def evaluate_files(
    options: argparse.Namespace,
    *,
    show: Callable[[Evaluation], None],
    notify: Callable[[str], None],
    reproduce: str,
) -> None:
    """Evaluates the files that the command was given and writes the report.

    Args:
        options: those of the command.
        show: called with the evaluation before the report is begun.
        notify: called with a line for each step of the report.
        reproduce: the command that evaluates the same files again.

    Raises:
        UserError: a file cannot be read or does not fit the others, or the folder of
            the report cannot be written.
        OSError: the report cannot be written.
    """
    problem = missing_packages()
    if not problem:
        _check_out(Path(options.out), options.overwrite)
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
    query, gallery = _embedded_images(files)
    write_report(
        Path(options.out),
        Path(options.what[0]).stem,
        query,
        gallery,
        evaluation,
        class_names=files.class_names,
        metric=options.metric,
        reproduce={"Evaluate again": reproduce},
        seed=options.seed,
        notify=notify,
    )


def _check_out(out: Path, overwrite: bool) -> None:
    earlier = next((name for name in FILES if (out / name).exists()), None)
    if earlier and not overwrite:
        raise UserError(
            f"--out: {quoted(out / earlier)} exists; choose another folder, or pass"
            " --overwrite to replace that report."
        )
    place = out
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        reason = os.strerror(errno.EACCES if place.is_dir() else errno.ENOTDIR)
        raise cannot_write(out, reason, "--out")


def _evaluate_arrays(files: ArrayFiles, options: argparse.Namespace) -> Evaluation:
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


def _embedded_images(
    files: ArrayFiles,
) -> tuple[EmbeddedImages, EmbeddedImages | None]:
    query, *gallery = (
        EmbeddedImages(embeddings, labels, images, groups=groups)
        for embeddings, labels, images, groups in zip(
            files.arrays[::2],
            files.arrays[1::2],
            files.images,
            files.groups,
            strict=True,
        )
    )
    return query, gallery[0] if gallery else None
