"""jml embed: any folder or list to a file, however often it is interrupted."""

import copy
import json
import os
import signal
import sys

import numpy as np
import pytest
from PIL import Image

import jml
from jml.app._console import main
from jml.inference import EmbeddingParts, read_embeddings
from jml.models import create, save_weights

pytest.importorskip("pyarrow")
IMAGES = 11
BAD = "b/bad.jpg"


def make_run(folder, seed):
    folder.mkdir()
    network = create("resnet18", embedding_dim=4, weights="none", seed=seed)
    save_weights(folder / "weights.safetensors", network.params, network.batch_stats)
    settings = {"arch": "resnet18", "embedding_dim": 4, "l2norm": False}
    settings |= {"image_size": 16, "dataset": "folder", "dataroot": "pictures"}
    (folder / "config.json").write_text(json.dumps(settings))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A run, and a folder of pictures of four classes, of which one is damaged."""
    place = tmp_path_factory.mktemp("embed")
    make_run(place / "run", 0)
    make_run(place / "other", 1)
    random = np.random.default_rng(0)
    for number in range(IMAGES):
        path = place / "pictures" / "abcd"[number % 4] / f"{number:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 255, (24, 20, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    (place / "pictures" / BAD).write_bytes(b"no image")
    return place


_loaded = {}  # each network is compiled once


def load_once(path, *, best=False, load=jml.inference.load):
    where = os.path.realpath(path)
    if where not in _loaded:
        _loaded[where] = load(path, best=best)
    model = copy.copy(_loaded[where])
    model.__dict__.pop("model", None)
    model._source = model._source._replace(path=os.path.abspath(path))
    return model


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    """An empty folder with links to both, which the command is run in."""
    monkeypatch.setattr(jml.inference, "load", load_once)
    for name in ("run", "pictures"):
        (tmp_path / name).symlink_to(place / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def embed(*words, code=0):
    assert main(["embed", *map(str, words), "--no_compile_cache"]) == code


def expected(here):
    paths = sorted(str(path.relative_to(here)) for path in here.glob("pictures/*/*"))
    paths.remove(f"pictures/{BAD}")
    return paths, jml.inference.load("run").embed(paths)


def check(here, name):
    read, (paths, vectors) = read_embeddings(name), expected(here)
    assert read.paths == paths
    assert read.labels == [path.split("/")[1] for path in paths]
    np.testing.assert_array_equal(read.vectors, vectors)  # bit for bit
    return read


def test_a_folder_becomes_a_file(here, capsys):
    embed("run", "pictures", "--out", "x.parquet")
    model = check(here, "x.parquet").model
    assert model["model"] == str(here / "run") and len(model["digest"]) == 64
    known = {"metric": "euclidean", "arch": "resnet18", "embedding_dim": 4}
    known |= {"l2norm": False, "image_size": 16, "precision": "float32", "side": 18}
    known |= {"root": str(here), "version": jml.__version__, "unreadable": 1}
    assert known.items() <= model.items() and len(model["mean"]) == 3
    out, err = capsys.readouterr()
    assert out == f"written: x.parquet ({IMAGES} embeddings)\n"
    assert "1 image cannot be read; x.unreadable.txt lists it" in err
    assert (here / "x.unreadable.txt").read_text() == (
        f"pictures/{BAD}\tits content is no image that Pillow knows\n"
    )
    left = {"pictures", "run", "x.parquet", "x.unreadable.txt"}
    assert set(os.listdir(here)) == left
    embed("run", "pictures", "--out", "x.parquet")
    assert (
        capsys.readouterr().out == f"whole already: x.parquet ({IMAGES} embeddings)\n"
    )


def test_shards_equal_the_whole(here, monkeypatch, capsys):
    for shard in ("2/3", "0/3", "2/3"):
        embed(
            "run", "pictures", "--out", "x.parquet", "--shard", shard, "--part_size=2"
        )
    assert "whole already: x.parquet, shard 2 of 3" in capsys.readouterr().out
    variables = {"SGE_TASK_ID": 2, "SGE_TASK_FIRST": 1, "SGE_TASK_LAST": 3}
    for name, value in variables.items():
        monkeypatch.setenv(name, str(value))
    embed("run", "pictures", "--out", "x.parquet", "--shard=auto", "--part_size=2")
    check(here, "x.parquet")
    assert len(list(here.glob("x.unreadable.*-of-3.txt"))) == 1


def test_lists_are_read_as_they_are(here, capsys):
    paths, vectors = expected(here)
    (here / "list.txt").write_text("\r\n".join([*paths[::-1], "", "none.jpg"]))
    embed("run", "list.txt", "--out", "x.npy")
    read = read_embeddings("x.npy")
    assert read.paths == paths[::-1] and read.labels is None
    np.testing.assert_array_equal(read.vectors, vectors[::-1])
    assert "none.jpg\tNo such file" in (here / "x.unreadable.txt").read_text()
    below = here / "below"
    below.mkdir()
    (below / "list.csv").write_text("label,path\ncat,a.jpg\n,a.jpg\n")
    (below / "a.jpg").write_bytes((here / paths[2]).read_bytes())
    embed("run", "below/list.csv", "--out", "y.parquet")
    read = read_embeddings("y.parquet")
    assert read.paths == ["a.jpg", "a.jpg"] and read.labels == ["cat", None]
    assert read.model["root"] == str(below)
    np.testing.assert_array_equal(read.vectors, vectors[[2, 2]])


def test_the_runs_own_test_images(here):
    (here / "pictures").unlink()
    for number in range(8):
        source = sorted((here / "run").resolve().parent.glob("pictures/*/[0-9]*"))[
            number
        ]
        copy = here / "pictures" / "abcd"[number // 2] / source.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(source.read_bytes())
    embed("run", "--out", "x.npy")
    read = read_embeddings("x.npy")
    assert read.labels == ["c", "c", "d", "d"]
    np.testing.assert_array_equal(
        read.vectors, jml.inference.load("run").embed(read.paths)
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_goes_on(here, monkeypatch, capsys, number):
    words = ("run", "pictures", "--out", "x.parquet", "--part_size=3")
    write, written = EmbeddingParts.write, []

    def interrupted(self, part, *arguments):
        if len(written) == 2:
            signal.raise_signal(number)
        written.append(part.number)
        write(self, part, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddingParts, "write", interrupted)
        embed(*words, code=128 + number)
    last = capsys.readouterr().err.splitlines()[-1]
    assert "interrupted (the same command goes on after" in last
    assert not (here / "x.parquet").exists()
    embed(*words)
    assert "embedding 6 images, 6 are done" in capsys.readouterr().err
    check(here, "x.parquet")


def test_a_full_disk_is_one_line_and_loses_nothing(here, monkeypatch, capsys):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    words = ("run", "pictures", "--out", "x.parquet", "--part_size=3")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        embed(*words, code=2)
    (line,) = capsys.readouterr().err.splitlines()[1:]
    assert line.startswith("jml embed: error: --out: cannot write ")
    assert "No space left on device; free space there" in line
    embed(*words)
    check(here, "x.parquet")


def test_only_parquet_needs_pyarrow(here, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    embed("run", "pictures", "--out", "x.parquet", code=2)
    last = capsys.readouterr().err.splitlines()[-1]
    assert 'pip install "jax-metric-learning[parquet]"' in last
    embed("run", "pictures", "--out", "x.npy")
    check(here, "x.npy")


def test_of_another_model_nothing_is_mixed(place, here, capsys):
    (here / "other").symlink_to(place / "other")
    embed("run", "pictures", "--out", "x.parquet", "--shard=0/2")
    embed("run", "pictures", "--out", "y.parquet")
    before = (here / "y.parquet").read_bytes()
    capsys.readouterr()
    for words, problem in (
        (["x.parquet", "--shard=1/2"], "has parts of embeddings with another weights"),
        (["y.parquet"], "'y.parquet' exists; choose another, or pass --overwrite"),
    ):
        embed("other", "pictures", "--out", *words, code=2)
        assert f"{problem}" in capsys.readouterr().err
    assert (here / "y.parquet").read_bytes() == before
    embed("other", "pictures", "--out", "y.parquet", "--overwrite")
    vectors = jml.inference.load("other").embed(expected(here)[0])
    np.testing.assert_array_equal(read_embeddings("y.parquet").vectors, vectors)


MISTAKES = {
    "none pictures --out x.parquet": "run: no such folder or file: 'none'",
    "no_weights pictures --out x.parquet": "has no weights.safetensors",
    "run empty --out x.parquet": "images: 'empty' has no image that Pillow reads",
    "run none --out x.parquet": "no such folder or list of images: 'none'",
    "run blank.txt --out x.parquet": "'blank.txt' lists no image",
    "run bytes.txt --out x.parquet": "'bytes.txt' is no text",
    "run /dev/zero --out x.parquet": "'/dev/zero' is a device; pass a text file",
    "run null.txt --out x.parquet": "'null.txt' is no text",
    "run blank.csv --out blank.npy --overwrite": "'blank.csv', which is read, would",
    "run blank.csv --out blank.parquet": "'blank.csv' has no column path",
    "run blank.csv --out x.parquet": "'blank.csv' has no column path",
    "run bad.txt --out x.parquet": "images: none of 1 images can be read; of the first",
    "run pictures --out x.txt": "--out: 'x.txt' ends in neither .parquet nor .npy",
    "run pictures --out none/x.npy": "--out: 'none' is no folder",
    "run pictures --out x.npy --shard 0/2": "--out: 'x.npy' must end in .parquet",
    "run pictures --out x.parquet --shard 3/2": "--shard: '3/2': of 2 shards",
    "run pictures --out x.parquet --shard -1/2": "--shard: '-1/2' is no shard",
    "run pictures --out /proc/x.parquet": "--out: cannot write '/proc/x.parquet.parts'",
    "run pictures --out x.parquet --dataroot .": "--dataroot: ",
    "run pictures --out x.parquet --part_size 0": "--part_size: 0 must be at least 1",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_mistakes_are_one_line(here, capsys, words):
    (here / "empty").mkdir()
    (here / "no_weights").mkdir()
    config = (here / "run" / "config.json").read_text()
    (here / "no_weights" / "config.json").write_text(config)
    (here / "bad.txt").write_text(f"pictures/{BAD}\n")
    (here / "blank.txt").write_text("\n \n")
    (here / "blank.csv").write_text("\n \n")
    (here / "null.txt").write_text("a.jpg\n" * 2000 + "b\0.jpg\n")
    (here / "bytes.txt").write_bytes(bytes(range(256)))
    embed(*words.split(), code=2)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("jml embed: error: ") and MISTAKES[words] in lines[-1]
    assert len(lines) <= 2 and not list(here.glob("x*.parquet"))
