"""The calibration of a run on disk: RUN/threshold.json."""

import json
import sys
from pathlib import Path
from typing import Any

from jml._evaluation_limits import METRICS
from jml._names import quoted
from jml._run_files import CALIBRATION
from jml._value_checks import check_path, check_type
from jml._whole_files import replace, writing
from jml.errors import UserError
from jml.evaluation import Calibration, OperatingPoint

KIND = "jml threshold"
LARGEST = 2**24  # bytes; a file of thresholds has some thousands


def write_calibration(folder: Path | str, calibration: Calibration) -> Path:
    """Writes a calibration into a folder, in place of an earlier one.

    Args:
        folder: of the run.
        calibration: of its network.

    Returns:
        The path of the file, threshold.json. It is whole at any moment.

    Raises:
        UserError: the folder cannot be written.
    """
    path = check_path("write_calibration", "folder", folder) / CALIBRATION
    check_type(
        "write_calibration", "calibration", calibration, Calibration, "a Calibration"
    )
    saved = {
        "kind": KIND,
        **calibration._asdict(),
        "points": [point._asdict() for point in calibration.points],
    }
    text = json.dumps(saved, indent=1, allow_nan=False) + "\n"
    with writing(path):
        replace(path, lambda unfinished: unfinished.write_text(text, "utf-8"))
    return path


def read_calibration(
    folder: Path | str, *, metric: str | None = None, digest: str | None = None
) -> Calibration:
    """Reads the calibration of a run, and checks it.

    Args:
        folder: of the run.
        metric: the metric that it has to be of; None for any.
        digest: the digest of the weights that it has to be of; None for any.

    Raises:
        UserError: there is none, it is damaged, or it is of another metric or of other
            weights.

    Example:
        >>> read_calibration("runs/none")
        Traceback (most recent call last):
        ...
        jml.errors.UserError: `folder`: there is no 'runs/none/threshold.json'; ...
    """
    folder = check_path("read_calibration", "folder", folder)
    path = folder / CALIBRATION
    make = f"jml threshold {quoted(folder)}"
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
        calibration = None if len(data) > LARGEST else _parsed(data)
    except FileNotFoundError:
        raise UserError(
            f"`folder`: there is no {quoted(path)}; make it by {make}"
        ) from None
    except OSError as error:
        raise UserError(
            f"`folder`: cannot read {quoted(path)}: {error.strerror}; make it anew by"
            f" {make}"
        ) from None
    if calibration is None:
        raise UserError(
            f"`folder`: {quoted(path)} is damaged, or of another program; make it anew"
            f" by {make}"
        )
    if metric is not None and calibration.metric != metric:
        raise UserError(
            f"`folder`: {quoted(path)} is of the metric {calibration.metric}; make it"
            f" anew by {make} --metric {metric}"
        )
    if digest is not None and calibration.digest != digest:
        raise UserError(
            f"`folder`: {quoted(path)} is of other weights; make it anew by {make}"
        )
    return calibration


def _parsed(data: bytes) -> Calibration | None:
    """The calibration that these bytes are, None if they are none."""
    try:
        saved = json.loads(data.decode("utf-8"))
        if saved.pop("kind") != KIND:
            return None
        points = tuple(_point(point) for point in saved.pop("points"))
        calibration = Calibration(points=points, **saved)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return calibration if _is_sound(calibration) else None


def _point(saved: dict[str, Any]) -> OperatingPoint:
    interval = saved["interval"]
    return OperatingPoint(
        **{**saved, "interval": None if interval is None else tuple(interval)}
    )


def _is_sound(calibration: Calibration) -> bool:
    """Whether all is of its type, finite and in range."""
    shares = ("confidence", "auc", "auc_error", "eer", "calibration_error")
    counts = ("items", "classes", "genuine", "impostors")
    numbers = ("eer_threshold", "intercept", "slope")
    sound = [
        calibration.metric in METRICS,
        isinstance(calibration.digest, str) and len(calibration.digest) <= 200,
        0 < len(calibration.points) <= 10_000,
        all(_is_share(getattr(calibration, name)) for name in shares),
        all(_is_number(getattr(calibration, name)) for name in numbers),
        all(
            type(getattr(calibration, name)) is int and getattr(calibration, name) > 0
            for name in counts
        ),
    ]
    return all(sound) and all(map(_is_sound_point, calibration.points))


def _is_sound_point(point: OperatingPoint) -> bool:
    interval = point.interval
    return (
        _is_share(point.far)
        and point.far > 0
        and all(
            number is None or (_is_number(number) and number >= 0)
            for number in (point.threshold, point.threshold_error)
        )
        and all(
            share is None or _is_share(share) for share in (point.tar, point.reached)
        )
        and (
            interval is None
            or (len(interval) == 2 and all(_is_share(share) for share in interval))
        )
        and isinstance(point.note, str)
        and point.note.isprintable()
        and len(point.note) <= 200
        and (point.threshold is None) == bool(point.note)
    )


def _is_number(value: object) -> bool:
    if type(value) not in (int, float):
        return False
    return abs(value) <= sys.float_info.max  # pyright: ignore


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 <= value <= 1  # pyright: ignore
