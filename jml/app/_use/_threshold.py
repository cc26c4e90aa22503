"""What ``jml threshold`` does: embeds, calibrates, prints and writes."""

import os
from argparse import Namespace
from functools import partial
from pathlib import Path

import numpy as np

from jml._names import quoted
from jml._optional import counted_bar, progress_bar
from jml._output import write_err, write_out
from jml.app._flags_of_arguments import flags_for, of_finished_run
from jml.errors import UserError
from jml.evaluation import Calibration, OperatingPoint, calibrate
from jml.inference import load, write_calibration

from ._test_images import TestImages, list_test_images
from ._what_to_embed import some


def find_threshold(options: Namespace) -> None:
    """Calibrates the network of a run by its own test images.

    Raises:
        UserError: the folder holds no finished run, cannot be written, or its test
            images are of too few classes.
    """
    folder: Path = options.run
    with of_finished_run(), flags_for(path="run", best="--best"):
        model = load(folder, best=options.best)
        tested = list_test_images(folder, dataroot=options.dataroot)
    for note in tested.notes:
        write_err(note)
    if not os.access(folder, os.W_OK):
        raise UserError(
            f"{quoted(folder)} is read-only, and threshold.json is written there; copy"
            " the run's folder, or make it writable."
        )
    rows = _unseen(folder, tested)
    write_err(f"embedding {len(rows):,} test images")
    images, progress = some(tested.images, rows.tolist()), counted_bar("embedding")
    with of_finished_run():
        vectors = model.embed(images, progress=progress)
    calibration = calibrate(
        vectors,
        tested.labels[rows],
        metric=options.metric or model.metric,
        digest=model.model["digest"],
        seed=options.seed,
        progress=partial(progress_bar, name="comparing"),
    )
    write_out(table(calibration))
    with flags_for(folder="run"):
        write_out(f"written: {write_calibration(folder, calibration)}")


def _unseen(folder: Path, tested: TestImages) -> np.ndarray:
    """The rows of images of classes that were not trained on, if they suffice."""
    rows = np.flatnonzero(~tested.trained)
    left_out = len(tested.labels) - len(rows)
    classes, counts = np.unique(tested.labels[rows], return_counts=True)
    if len(classes) < 4 or (counts > 1).sum() < 2:
        raise UserError(
            f"{quoted(folder)}: its test images that were not trained on are of"
            f" {len(classes)} classes, {(counts > 1).sum()} of them with several"
            " images; thresholds need four classes, and two with several images."
        )
    if left_out:
        write_err(f"left out: {left_out:,} images of classes that were trained on")
    return rows


def table(calibration: Calibration) -> str:
    """The thresholds, a line each, and what else is worth to know.

    The ± is the standard error of a threshold.
    """
    one = calibration
    # Of many pairs, the area is that of bins, which a few items far away make coarse.
    off = f" ± {one.auc_error:.1g}" if one.auc_error >= 5e-5 else ""
    level = f"{100 * one.confidence:g} % interval"
    lines = [
        f"{one.items:,} images of {one.classes:,} classes: {one.genuine:,} genuine and"
        f" {one.impostors:,} impostor pairs, {one.metric} distance",
        f"{'FAR':<7}{'threshold':<20}{'TAR':<9}{level}",
        *map(_line, one.points),
        f"AUC {one.auc:.4f}{off}, EER {one.eer:.4f} at {one.eer_threshold:.4g}",
        "probability: a logistic fitted on half of the classes; calibration error on"
        f" the other half {one.calibration_error:.4f}",
    ]
    return "\n".join(lines)


def _line(point: OperatingPoint) -> str:
    if point.threshold is None:
        return f"{point.far:<7g}{point.note}"
    error = point.threshold_error
    threshold = f"{point.threshold:.4g}"
    if error is not None:
        threshold += f" ± {error:.2g}"
    interval = ""
    if point.interval is not None:
        interval = f"{point.interval[0]:.4f} to {point.interval[1]:.4f}"
    return f"{point.far:<7g}{threshold:<20}{point.tar:<9.4f}{interval}"
