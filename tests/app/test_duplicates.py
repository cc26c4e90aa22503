"""``jml duplicates`` as its user meets it."""

import csv
import hashlib
import os

import numpy as np
import pytest
from PIL import Image

from jml.app._console import main
from jml.app._use import _duplicates
from jml.evaluation import calibrate
from jml.inference import Embeddings, write_calibration, write_embeddings

pytestmark = pytest.mark.usefixtures("quick_compilation")
NAMES = ["a.png", "=b.png", "caf\udce9.png", "<i>.png", "gone.png", "new\nline.png"]
MODEL = {"model": "gone", "digest": "0" * 64, "metric": "euclidean"}
# Groups: rows 0, 1 and 4 are copies; 2 and 3, and 5 with both at the threshold.
VECTORS = np.float32([[3, 4], [3, 4], [100, 0], [103, 4], [3, 4], [106, 8], [0, 50]])


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A collection in the current folder."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(NAMES):
        if name != "gone.png":
            Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(name)
    labels = ["x", "=y", "z", "z", "x", None, "x"]
    write(VECTORS, [*NAMES, "alone.png"], labels)
    return tmp_path


def write(vectors, paths, labels=None, name="x.parquet", **model):
    embeddings = Embeddings(np.float32(vectors), paths, labels, MODEL | model)
    write_embeddings(name, embeddings, overwrite=True)


def duplicates(*words):
    return main(["duplicates", "x.parquet", *words, "--no_compile_cache"])


def listed(path="duplicates.csv"):
    with open(path, newline="", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_groups_are_printed_listed_and_shown(files, capsys):
    assert duplicates("--threshold=5") == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "7 images: 6 are in 2 groups of near images; 1 group has different labels",
        "near: Euclidean distance of at most 5",
        "group 1: 3 images, 0 apart, different labels",
        "  0           a.png",
        "  0           =b.png",
        "  0           gone.png",
        "group 2: 3 images, 5 apart",
        "  5           caf\ufffd.png",
        "  5           <i>.png",
        "  5           new\\nline.png",
        "written: duplicates.csv and duplicates.html",
    ]
    assert "1 of the 6 pictures on the page cannot be read" in err
    rows = listed()
    assert [row["path"] for row in rows] == [
        *("a.png", "./=b.png", "gone.png", "caf\udce9.png", "<i>.png", "new\nline.png")
    ]
    assert [row["label"] for row in rows] == ["x", "'=y", "x", "z", "z", ""]
    assert [row["nearest"] for row in rows[:4]] == [
        *("./=b.png", "a.png", "a.png", "<i>.png")
    ]
    assert {(row["group"], row["images"], row["distance"]) for row in rows} == {
        *(("1", "3", "0"), ("2", "3", "5"))
    }
    assert all(os.path.exists(row["path"]) for row in rows if row["path"] != "gone.png")
    page = (files / "duplicates.html").read_text()
    assert page.count("<img") == 5 and "No such file" in page
    assert "&lt;i&gt;.png" in page and "<i>" not in page
    assert "near: Euclidean distance of at most 5" in page


def test_without_a_threshold_only_copies_are_duplicates(files, capsys):
    assert duplicates("--out=new/folder", "--show=0") == 0
    out, _ = capsys.readouterr()
    assert out.splitlines() == [
        "7 images: 3 are in 1 group of near images; 1 group has different labels",
        "near: equal up to rounding; --threshold T finds those less alike",
        "and 1 group more",
        "written: new/folder/duplicates.csv and new/folder/duplicates.html",
    ]
    assert len(listed("new/folder/duplicates.csv")) == 3


def test_the_metric_is_the_model_s_or_that_of_the_flag(files, capsys):
    write(VECTORS, [*NAMES, "alone.png"], metric="cosine")
    assert duplicates("--threshold=0.01") == 0
    assert "near: 1 - cosine of at most 0.01" in capsys.readouterr().out
    assert len(listed()) == 6
    assert duplicates("--threshold=0.01", "--metric=euclidean", "--overwrite") == 0
    assert len(listed()) == 3


def test_no_near_images_are_an_empty_list(files, capsys):
    write(np.eye(3), ["a.png", "b.png", "c.png"])
    assert duplicates() == 0
    assert "3 images: 0 are in 0 groups of near images" in capsys.readouterr().out
    assert listed() == []


def test_a_giant_group_is_whole_in_the_list_alone(files, capsys):
    write(np.ones((30_000, 2)), [f"{i}.png" for i in range(30_000)])
    assert duplicates() == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == 25
    assert "  and 29,980 more" in out and "29,900 pictures had no room" in err
    assert len(listed()) == 30_000
    assert (files / "duplicates.html").stat().st_size < 100_000


def test_many_groups_are_counted(files, capsys):
    pairs = np.repeat(np.arange(60) * 9.0, 2)[:, None]
    write(pairs, [f"{i}.png" for i in range(120)])
    assert duplicates() == 0
    out = capsys.readouterr().out
    assert "group 50: " in out and "group 51: " not in out
    assert "and 10 groups more" in out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--threshold=-1"], "--threshold: -1.0 must be at least 0."),
        (["--threshold=nan"], "--threshold: nan is not finite"),
        (["--metric=dot", "--show=x"], "--metric: unknown 'dot'; choose"),
        (["--out=x.parquet"], "--out: cannot write 'x.parquet': Not a directory"),
        (
            ["--out=old"],
            "--out: 'old/duplicates.csv' exists; choose another folder, or",
        ),
    ],
)
def test_a_mistake_is_one_line(files, capsys, words, line):
    (files / "old").mkdir()
    (files / "old" / "duplicates.csv").write_text("earlier")
    assert duplicates(*words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith(f"jml duplicates: error: {line}")
    assert (files / "old" / "duplicates.csv").read_text() == "earlier"


def test_vectors_that_are_not_finite_are_one_line(files, capsys):
    write(np.where(VECTORS == 50, np.nan, VECTORS), [*NAMES, "alone.png"])
    assert duplicates() == 2
    out, err = capsys.readouterr()
    assert (
        out == "" and "holds vectors with NaN or infinity: that of 'alone.png'" in err
    )


def test_the_folder_of_a_run_is_one_line(calibrated, capsys):
    assert main(["duplicates", "run", "--no_compile_cache"]) == 2
    assert "'run' is the folder of a run; embed its" in capsys.readouterr().err


def test_too_many_pairs_are_one_line(files, capsys, monkeypatch):
    import functools

    few = functools.partial(_duplicates.find_duplicates, max_pairs=2)
    monkeypatch.setattr(_duplicates, "find_duplicates", few)
    assert duplicates("--threshold=500") == 2
    assert "--threshold: 10 pairs so far are within 500, more than 2; lower it." in (
        capsys.readouterr().err
    )
    assert not os.path.exists("duplicates.csv")


def test_a_full_disk_is_one_line(files, capsys, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    earlier = "earlier list"
    (files / "duplicates.csv").write_text(earlier)
    monkeypatch.setattr(_duplicates.write_list.__globals__["os"], "fsync", full)
    assert duplicates("--overwrite") == 2
    assert "--out: cannot write 'duplicates.csv': No space left on device; free" in (
        capsys.readouterr().err
    )
    assert (files / "duplicates.csv").read_text() == earlier
    monkeypatch.undo()
    os.chdir(files)
    # The list is saved, and the page is not.
    monkeypatch.setattr(_duplicates, "write_picture_page", full)
    assert duplicates("--overwrite") == 1
    out, err = capsys.readouterr()
    assert "duplicates.html: No space left on device" in err and "group 1" in out
    assert len(listed()) == 3


@pytest.fixture
def calibrated(files):
    """The run whose model made the collection, with its thresholds."""
    run = files / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    (run / "weights.safetensors").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    write(VECTORS, [*NAMES, "alone.png"], model="run", digest=digest)
    # Pairs of one class are 1 apart, and others 9 or more.
    x = np.arange(40.0)[:, None] * 10
    x[1::2] -= 9
    calibration = calibrate(x, np.arange(40) // 2, digest=digest, fars=(0.1, 1e-6))
    write_calibration(run, calibration)
    return calibration


def test_without_a_threshold_that_of_the_calibration_is_taken(calibrated, capsys):
    reached, not_reached = calibrated.points
    assert not_reached.threshold is None
    assert duplicates() == 0
    says = f"at most {reached.threshold:.6g}, the threshold for FAR 0.1 in run/threshol"
    assert says in capsys.readouterr().out
    os.rename("run", "moved")
    assert duplicates("--overwrite", "--model=moved") == 0
    assert "FAR 0.1 in moved/threshold.json" in capsys.readouterr().out
    assert duplicates("--overwrite") == 0  # where it was, there is none
    assert "near: equal up to rounding" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--metric=cosine"], "is of the metric euclidean; make it anew"),
        (["--model=nowhere"], "--model: 'nowhere' is not there; pass the run"),
    ],
)
def test_a_calibration_of_something_else_is_one_line(calibrated, capsys, words, line):
    assert duplicates(*words) == 2
    out, err = capsys.readouterr()
    assert out == "" and line in err and err.count("\n") == 1


def test_a_damaged_calibration_is_one_line(calibrated, files, capsys):
    (files / "run" / "threshold.json").write_text("{")
    assert duplicates() == 2
    err = capsys.readouterr().err
    assert "threshold.json' is damaged" in err and "or pass --threshold." in err
    facts = {"model": "run", "best": True, "digest": "1" * 64}
    write(VECTORS, [*NAMES, "alone.png"], **facts)
    assert duplicates() == 2
    assert "threshold 'run' --best, or pass --threshold." in capsys.readouterr().err
    assert duplicates("--threshold=1") == 0
