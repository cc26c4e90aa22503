"""``jml threshold``: a table, a file in the run's folder, one line for each mistake."""

import json
import shutil
from dataclasses import asdict, replace

import pytest

from jml.app._console import main
from jml.app._use import _threshold
from jml.evaluation import verification
from jml.inference import load, read_calibration
from tests.inference.conftest import CONFIG, run

__all__ = ["run"]  # the fixture


@pytest.fixture(scope="module")
def moved(run, images, tmp_path_factory):
    """A run on 24 classes of 12 images, half of which are its test classes."""
    copy = shutil.copytree(run, tmp_path_factory.mktemp("threshold") / "run")
    config = replace(CONFIG, dataset="folder", dataroot=str(images))
    (copy / "config.json").write_text(json.dumps(asdict(config)))
    return copy


def refused(capsys, *words):
    code = main(["threshold", *map(str, words)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "") and "Traceback" not in err
    return err.splitlines()[-1].removeprefix("jml threshold: error: ")


def test_the_table_is_what_is_written(moved, capsys):
    (moved / "threshold.json").write_text("an earlier one")
    assert main(["threshold", str(moved), "--best", "--seed=3"]) == 0
    out, err = capsys.readouterr()
    assert "embedding 144 test images" in err
    saved = read_calibration(moved, metric="euclidean")
    model = load(moved, best=True)
    assert saved.digest == model.model["digest"]
    assert (saved.items, saved.classes) == (144, 12)
    head, columns, *lines = out.splitlines()
    assert head == (
        "144 images of 12 classes: 792 genuine and 9,504 impostor pairs, euclidean"
        " distance"
    )
    assert columns.split() == ["FAR", "threshold", "TAR", "95", "%", "interval"]
    for line, point in zip(lines, saved.points, strict=False):
        if point.threshold is None:
            assert line.split(maxsplit=1) == [f"{point.far:g}", point.note]
            continue
        far, threshold, _, error, tar, low, _, high = line.split()
        assert far == f"{point.far:g}" and threshold == f"{point.threshold:.4g}"
        assert error == f"{point.threshold_error:.2g}"
        assert tar == f"{point.tar:.4f}"
        assert (low, high) == tuple(f"{bound:.4f}" for bound in point.interval)
    assert [point.threshold is None for point in saved.points] == 3 * [False] + 3 * [
        True
    ]
    assert lines[-3].startswith(f"AUC {saved.auc:.4f}, EER {saved.eer:.4f} at ")
    assert lines[-2].endswith(f"{saved.calibration_error:.4f}")
    off = _threshold.table(saved._replace(auc_error=0.0123))
    assert f"AUC {saved.auc:.4f} ± 0.01, EER" in off
    assert lines[-1] == f"written: {moved / 'threshold.json'}"


def test_the_thresholds_are_those_of_the_test_images(moved, images, capsys):
    assert main(["threshold", str(moved), "--metric=cosine"]) == 0
    capsys.readouterr()
    tested = _threshold.list_test_images(moved)
    x = load(moved).embed(tested.images)
    expected = verification(x, tested.labels, metric="cosine")
    assert read_calibration(moved, metric="cosine").points == expected.points


def test_mistakes_are_one_line(moved, run, tmp_path, capsys, monkeypatch):
    assert "no" in refused(capsys, tmp_path / "gone")
    file = tmp_path / "file"
    file.touch()
    assert "is a file; pass the folder" in refused(capsys, file)
    assert refused(capsys, moved, "--metric=l1").startswith("--metric: unknown 'l1'")
    assert refused(capsys, moved, "--seed=-1").startswith("--seed: -1 must be")
    assert "--dataroot" in refused(capsys, moved, "--dataroot", tmp_path / "gone")
    bare = shutil.copytree(moved, tmp_path / "bare")
    (bare / "weights.safetensors").unlink()
    assert "weights.safetensors" in refused(capsys, bare)
    earlier = (moved / "threshold.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(_threshold.os, "access", lambda *_: False)
        assert "is read-only" in refused(capsys, moved)
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full_disk)
        assert main(["threshold", str(moved)]) == 2
        out, err = capsys.readouterr()
        assert "AUC" in out and "written" not in out  # the table is not lost
        words = err.splitlines()[-1]
        assert "threshold.json" in words and "No space left" in words
    assert (moved / "threshold.json").read_bytes() == earlier


def full_disk(source, destination):
    raise OSError(28, "No space left on device", str(destination))


def test_too_few_classes_are_one_line(moved, tmp_path, write_images, capsys):
    write_images(tmp_path / "photos", classes=6, per_class=2)
    words = refused(capsys, moved, "--dataroot", tmp_path / "photos")
    assert "of 3 classes" in words and "need four classes" in words
