"""RUN/threshold.json: read as it was written, and refused in one line."""

import json
import os

import numpy as np
import pytest

from jml.errors import UserError
from jml.evaluation import calibrate
from jml.inference import read_calibration, write_calibration


@pytest.fixture(scope="module")
def calibration():
    rng = np.random.default_rng(0)
    labels = rng.integers(8, size=60)
    x = rng.normal(size=(8, 4))[labels] + rng.normal(size=(60, 4))
    return calibrate(x, labels, digest="ab" * 32, resamples=20)


def test_what_is_written_is_read(calibration, tmp_path):
    (tmp_path / "threshold.json").write_text("an earlier one")
    path = write_calibration(tmp_path, calibration)
    assert path == tmp_path / "threshold.json"
    assert os.listdir(tmp_path) == ["threshold.json"]
    read = read_calibration(tmp_path, metric="euclidean", digest="ab" * 32)
    assert read == calibration
    assert any(point.threshold is None for point in read.points)


def refused(folder, **options):
    with pytest.raises(UserError) as error:
        read_calibration(folder, **options)
    message = str(error.value)
    assert "\n" not in message and "jml threshold" in message
    return message


def test_another_metric_or_other_weights_are_refused(calibration, tmp_path):
    write_calibration(tmp_path, calibration)
    words = refused(tmp_path, metric="cosine")
    assert "of the metric euclidean" in words and "--metric cosine" in words
    assert "of other weights" in refused(tmp_path, digest="cd" * 32)


def test_a_file_that_is_not_there(tmp_path):
    assert "there is no" in refused(tmp_path)


def changed(key, value):
    def change(saved):
        saved[key] = value

    return change


def changed_point(key, value):
    def change(saved):
        saved["points"][0][key] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed("kind", "another"),
        changed("metric", "l1"),
        changed("metric", ["euclidean"]),
        changed("digest", 7),
        changed("slope", float("nan")),
        changed("slope", "1"),
        changed("slope", True),
        changed("intercept", 10**400),
        changed("auc", 1.5),
        changed("auc_error", -0.1),
        changed("items", 2.5),
        changed("points", []),
        changed("points", 3),
        changed("points", [[]]),
        changed("more", 1),
        changed_point("threshold", float("inf")),
        changed_point("threshold", None),
        changed_point("threshold", -1.0),
        changed_point("note", "\x1b[31m"),
        changed_point("interval", [0.1]),
        changed_point("interval", 3),
        changed_point("far", 0),
        changed_point("tar", "x"),
        lambda saved: saved.pop("slope"),
        lambda saved: saved["points"][0].pop("far"),
    ],
)
def test_a_damaged_file_is_refused(calibration, tmp_path, change):
    path = write_calibration(tmp_path, calibration)
    saved = json.loads(path.read_text())
    change(saved)
    path.write_text(json.dumps(saved))
    assert "is damaged" in refused(tmp_path)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b"[1]", b"{}", b"null"])
def test_no_json_object_is_refused(tmp_path, data):
    (tmp_path / "threshold.json").write_bytes(data)
    assert "is damaged" in refused(tmp_path)


def test_a_place_that_cannot_be_written(calibration, tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        write_calibration(tmp_path / "none", calibration)
    (tmp_path / "threshold.json").mkdir()
    assert "cannot read" in refused(tmp_path)
