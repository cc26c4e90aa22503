"""Embeddings in parts: interrupted anywhere, the file equals the undisturbed one."""

import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jml.errors import UserError
from jml.inference import EmbeddingParts, read_embeddings

pytest.importorskip("pyarrow")

MODEL = {"model": "runs/a", "digest": "ab" * 32, "metric": "euclidean"}
PATHS = [f"a/{number}.jpg" for number in range(10)]
LABELS = ["b", None] * 5
BAD = {3: "no image", 8: "no such file"}
VECTORS = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)


def make(path, *, paths=PATHS, labels=LABELS, model=MODEL, **numbers):
    return EmbeddingParts(path, paths, labels, model, **{"size": 4, **numbers})


def fill(parts, missing, bad=BAD):
    for part in missing:
        rows = [row for row in part.rows() if row not in bad]
        reasons = {row: bad[row] for row in part.rows() if row in bad}
        parts.write(part, VECTORS[rows], reasons)


def check(path, bad=BAD):
    rows = [row for row in range(10) if row not in bad]
    read = read_embeddings(path)
    np.testing.assert_array_equal(read.vectors, VECTORS[rows])
    assert read.paths == [PATHS[row] for row in rows]
    assert read.labels == [LABELS[row] for row in rows]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".parquet", ".npy"])
def test_parts_become_one_file(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    parts = make(path)
    missing = parts.begin()
    assert [len(part.rows()) for part in missing] == [4, 4, 2]
    fill(parts, missing[1:2])
    assert names(tmp_path) == [f"x{suffix}.parts"]  # no file before it is whole
    again = make(path)
    assert again.begin() == [missing[0], missing[2]]
    fill(again, again.begin())
    assert again.unreadable() == BAD
    assert again.finish() == 8
    check(path)
    assert f"x{suffix}.parts" not in names(tmp_path)
    before = path.stat().st_mtime_ns
    whole = make(path)
    assert whole.begin() == [] and whole.finish() == 8  # and nothing is written
    assert path.stat().st_mtime_ns == before


def test_a_kill_before_the_parts_are_removed_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "x.parquet"
    parts = make(path)
    fill(parts, parts.begin())
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *arguments, **options: None)
        parts.finish()
    assert names(tmp_path) == ["x.parquet", "x.parquet.parts"]
    assert make(path).begin() == []
    assert names(tmp_path) == ["x.parquet"]


def test_shards_need_no_coordinator(tmp_path):
    path = tmp_path / "x.parquet"
    shards = [
        pickle.loads(pickle.dumps(make(path, shard=i, shards=3, size=2)))
        for i in range(3)
    ]
    begun = [parts.begin() for parts in shards]
    for i in (2, 0, 1):
        with pytest.raises(UserError, match=r"shards are not whole|no .parquet file"):
            read_embeddings(path)
        fill(shards[i], begun[i])
        assert make(path, shard=i, shards=3, size=2).begin() == []
    check(path)
    assert all(name.endswith(".parquet") for name in names(path))
    assert names(tmp_path) == ["x.parquet", "x.parquet.json"]
    assert shards[0].unreadable() == {3: "no image"}
    assert [parts.finish() for parts in shards] == [3, 3, 2]


OTHERS = {
    "list of images": {"paths": [*PATHS[:9], "b.jpg"]},
    "number of images": {"paths": PATHS[:9], "labels": LABELS[:9]},
    "list": {"labels": None},
    "weights of the model": {"model": MODEL | {"digest": "cd" * 32}},
    "precision": {"model": MODEL | {"precision": "bfloat16"}},
    "images of a part": {"size": 5},
}


@pytest.mark.parametrize("words", OTHERS)
def test_parts_of_something_else_are_not_gone_on_with(tmp_path, words):
    path = tmp_path / "x.parquet"
    for shards in (None, 2):
        first = make(path, shards=shards)
        fill(first, first.begin()[:1])
        other = make(path, shards=shards, **OTHERS[words])
        with pytest.raises(UserError, match=words) as caught:
            other.begin()
        assert "`path`" in str(caught.value) and "`overwrite=True`" in str(caught.value)
        assert len(first.begin()) == len(first._folder.parts()) - 1  # it is still there
        assert len(other.begin(overwrite=True)) == len(other._folder.parts())
        with pytest.raises(UserError, match=words):
            first.begin()
        for place in tmp_path.iterdir():
            shutil.rmtree(place) if place.is_dir() else place.unlink()


def test_another_number_of_shards_replaces_all_parts(tmp_path):
    path = tmp_path / "x.parquet"
    for shard in range(3):
        parts = make(path, shard=shard, shards=3)
        fill(parts, parts.begin())
    with pytest.raises(UserError, match="number of shards"):
        make(path, shards=2).begin()
    for shard in range(2):  # the first removes what is of no shard, the next nothing
        parts = make(path, shard=shard, shards=2)
        fill(parts, parts.begin(overwrite=True))
    check(path)


def test_a_shard_does_not_keep_parts_of_the_model_before(tmp_path):
    path, other = tmp_path / "x.parquet", MODEL | {"digest": "cd" * 32}
    for shard in range(2):
        parts = make(path, shard=shard, shards=2)
        fill(parts, parts.begin())
    first = make(path, shard=0, shards=2, model=other)
    fill(first, first.begin(overwrite=True))
    second = make(path, shard=1, shards=2, model=other)  # sees the new manifest
    assert len(second.begin()) == 2
    fill(second, second.begin())
    check(path)
    assert read_embeddings(path).model["digest"] == "cd" * 32


def test_a_whole_file_is_kept_unless_it_is_to_be_replaced(tmp_path):
    path = tmp_path / "x.parquet"
    parts = make(path)
    fill(parts, parts.begin())
    parts.finish()
    other = make(path, model=MODEL | {"digest": "cd" * 32})
    with pytest.raises(UserError, match=r"exists; choose another, or pass `overwrite"):
        other.begin()
    missing = other.begin(overwrite=True)
    check(path)  # until the other is whole
    fill(other, missing, bad={})
    other.finish()
    check(path, bad={})
    anew = make(path, model=MODEL | {"digest": "cd" * 32})
    assert len(anew.begin(overwrite=True)) == 3


def test_a_file_and_a_folder_do_not_replace_each_other(tmp_path):
    path = tmp_path / "x.parquet"
    parts = make(path, shards=1)
    fill(parts, parts.begin())
    with pytest.raises(UserError, match=r"x.parquet' is a folder of parts; choose"):
        make(path).begin(overwrite=True)
    check(path)
    (tmp_path / "y.parquet").touch()
    with pytest.raises(UserError, match=r"y.parquet' is a file; choose another"):
        make(tmp_path / "y.parquet", shards=1).begin(overwrite=True)


@pytest.mark.parametrize("shards", [None, 1])
def test_a_damaged_part_is_missing(tmp_path, shards):
    parts = make(tmp_path / "x.parquet", shards=shards)
    fill(parts, parts.begin())
    files = sorted(parts._folder.place.glob("*.parquet"))
    files[1].write_bytes(files[1].read_bytes()[:-20])
    assert [part.number for part in parts.begin()] == [1]
    with pytest.raises(UserError, match="1 of 3 parts"):
        parts.finish()


def test_where_no_image_can_be_read_there_is_no_file(tmp_path):
    parts = make(tmp_path / "x.parquet")
    for part in parts.begin():
        reasons = {row: "torn" for row in part.rows()}
        parts.write(part, np.empty((0, 3), np.float32), reasons)
    with pytest.raises(
        UserError, match="none of 10 images can be read; of the first: "
    ):
        parts.finish()
    assert names(tmp_path) == ["x.parquet.parts"]


def test_mistakes_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"neither .parquet nor .npy"):
        make(tmp_path / "x.txt")
    with pytest.raises(UserError, match=r"must end in .parquet where it is a folder"):
        make(tmp_path / "x.npy", shards=2)
    with pytest.raises(ValueError, match="`shards` must be an integer from 4"):
        make(tmp_path / "x.parquet", shard=3, shards=2)
    parts = make(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="one for each of 3 vectors"):
        parts.write(parts.begin()[0], VECTORS[:3])
    with pytest.raises(ValueError, match="not of this part"):
        parts.write(parts.begin()[0], VECTORS[:3], {9: "a"})
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"`path`: cannot write .*file"):
        make(tmp_path / "file" / "x.parquet").begin()


def test_killed_at_any_write_the_file_is_the_undisturbed_one(tmp_path):
    """Processes die at their first write, the next at its second, and so on."""
    script = [sys.executable, "-m", "tests.inference.killed_writers", str(tmp_path)]
    root = Path(__file__).parents[2]
    said = subprocess.run(script, capture_output=True, text=True, cwd=root)
    assert said.returncode == 0, said.stderr
    assert "another process is writing" in said.stdout
    for suffix in (".parquet", ".npy"):
        deaths = int(re.search(rf"{suffix} (\d+) deaths", said.stdout)[1])
        assert deaths >= 4
        check(tmp_path / f"x{suffix}")
        assert make(tmp_path / f"x{suffix}").begin() == []


def test_files_of_other_programs_are_not_removed(tmp_path):
    path = tmp_path / "x.parquet"
    path.mkdir()
    (path / "part-0.parquet").write_text("of Spark")
    with pytest.raises(UserError, match=r"x.parquet' has .parquet files that no '.*js"):
        make(path, shards=2).begin()
    assert names(path) == ["part-0.parquet"] and names(tmp_path) == ["x.parquet"]
    assert len(make(path, shards=2).begin(overwrite=True)) == 2
    assert names(path) == []
