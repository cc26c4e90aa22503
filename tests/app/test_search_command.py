"""``jml search``: exact, complete, and clear about what it cannot do."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

import jml
from jml._names import shown
from jml.app._console import main
from jml.inference import Embeddings, load, write_embeddings
from tests.inference.conftest import CONFIG, paths, run

__all__ = ["paths", "run"]  # the fixtures


@pytest.fixture(scope="module")
def gallery(run, paths, tmp_path_factory):
    """Embeddings of 70 files and of a copy of one of them; every second has a label."""
    folder = tmp_path_factory.mktemp("gallery")
    copy = folder / "a copy.png"
    shutil.copy(paths[3], copy)
    names = [str(path) for path in (*paths, copy)]
    labels = [f"class {i % 7}" if i % 2 else None for i in range(len(names))]
    model = load(run)
    facts = {**model.model, "root": None}
    embeddings = Embeddings(model.embed(names), names, labels, facts)
    facts["root"] = str(folder)
    return write_embeddings(folder / "x.parquet", embeddings), embeddings


def searched(capsys, *words):
    assert main(["search", *map(str, words)]) == 0
    return capsys.readouterr()


def refused(capsys, *words):
    code = main(["search", *map(str, words)])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "") and err.count("\n") == 1
    return err.removeprefix("jml search: error: ").rstrip("\n")


def rows_of(table):
    """Rank, distance and path of each line below the head; the label is cut out."""
    lines = [line.split() for line in table.splitlines()[2:]]
    return [(int(rank), float(distance), rest[-1]) for rank, distance, *rest in lines]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_table_is_the_exact_order_and_leaves_nothing_out(gallery, metric, capsys):
    path, (vectors, names, _, _) = gallery
    out, err = searched(capsys, path, names[3], "--top", 1000, "--metric", metric)
    assert out.startswith(f"{names[3]}: 71 of 71 images, {metric} distance\n")
    assert err == ""
    x = vectors.astype(np.float64)
    if metric == "cosine":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        expected = ((x - x[3]) ** 2).sum(axis=1) / 2
    else:
        expected = np.linalg.norm(x - x[3], axis=1)
    order = np.argsort(expected, kind="stable")
    rows = rows_of(out.replace("a copy", "a_copy"))
    assert [rank for rank, *_ in rows] == list(range(1, 72))
    assert [d for _, d, _ in rows] == pytest.approx(expected[order], rel=1e-5)
    found = [path.replace("a_copy", "a copy") for *_, path in rows]
    assert found == [shown(names[i]) for i in order]
    assert found[:2] == [names[3], names[70]]
    assert [line.split()[1] for line in out.splitlines()[2:4]] == ["0", "0"]


def test_each_query_has_its_table_and_its_own_file_at_distance_0(gallery, capsys):
    path, (_, names, labels, _) = gallery
    queries = [names[69], names[11], *names[20:25]]
    out, _ = searched(capsys, path, *queries, "--top=2")
    tables = out.split("\n\n")
    for table, query in zip(tables, queries, strict=True):
        assert table.startswith(f"{shown(query)}: 2 of 71 images")
        assert rows_of(table)[0] == (1, 0, shown(query))
    assert f"0  {labels[11]}  {names[11]}\n" in tables[1]


def test_a_page_shows_the_pictures(gallery, tmp_path, capsys):
    path, (_, names, _, _) = gallery
    page = tmp_path / "found.html"
    words = (path, names[11], names[12], "--top=3", "--html", page)
    out, err = searched(capsys, *words)
    text = page.read_text()
    assert text.count("<img") == text.count("<figure") == 8
    assert text.count('class="picture lead"') == 2 and "distance 0<" in text
    assert f"written: {page}\n" == err
    assert refused(capsys, *words).startswith(f"--html: '{page}' exists; choose")
    assert searched(capsys, *words, "--overwrite")[0] == out
    assert "can be no file" in refused(capsys, *words[:-1], tmp_path)
    for read in (path, names[12]):
        line = refused(capsys, *words[:-1], read, "--overwrite")
        assert line.startswith(f"--html: '{shown(str(read))}' is read by this command")


def test_names_cannot_control_the_terminal(run, paths, tmp_path, capsys):
    model, name = load(run), "a\x1b[2J\nb.png"
    vectors = model.embed([paths[0]])
    path = tmp_path / "x.npy"
    write_embeddings(path, Embeddings(vectors, [name], None, model.model))
    out, _ = searched(capsys, path, paths[0])
    assert out.endswith("rank  distance  path\n   1         0  a\\x1b[2J\\nb.png\n")


def test_all_queries_that_are_no_images_are_named_at_once(gallery, tmp_path, capsys):
    path, (_, names, _, _) = gallery
    (tmp_path / "text.jpg").write_text("no image")
    os.mkfifo(tmp_path / "pipe")
    bad = [tmp_path / name for name in ("text.jpg", "gone.jpg", "pipe", ".")]
    line = refused(capsys, path, names[0], *bad)
    assert line.startswith("cannot read 4 of 5 queries: ")
    for part in (
        "gone.jpg': No such file or directory",
        "pipe': not a file",
        "': a folder; pass the files in it",
        "text.jpg': its content is no image that Pillow knows",
    ):
        assert part in line


def test_a_run_s_own_test_images_are_searched(run, tmp_path, write_images, capsys):
    write_images(tmp_path / "photos", classes=4, per_class=2)
    moved = shutil.copytree(run, tmp_path / "run")
    config = replace(CONFIG, dataset="folder", dataroot="gone")
    (moved / "config.json").write_text(json.dumps(asdict(config)))
    query = tmp_path / "photos" / "class03" / "001.png"
    words = (moved, query, "--dataroot", tmp_path / "photos", "--best")
    page = tmp_path / "a.html"
    out, err = searched(capsys, *words, "--html", page)
    assert rows_of(out)[0] == (1, 0, str(query)) and len(rows_of(out)) == 4
    assert {re.split("  +", line)[3] for line in out.splitlines()[2:]} == {
        "class02",
        "class03",
    }
    assert err.startswith("embedding 4 test images\n")
    assert page.read_text().count("<img") == 5


def test_the_pictures_of_a_file_of_test_images_are_the_run_s(
    run, tmp_path, write_images, capsys
):
    write_images(tmp_path / "photos", classes=4, per_class=2)
    moved = shutil.copytree(run, tmp_path / "run")
    config = replace(CONFIG, dataset="folder", dataroot=str(tmp_path / "photos"))
    (moved / "config.json").write_text(json.dumps(asdict(config)))
    names = [str(tmp_path / "photos" / f"class0{c}" / "000.png") for c in (2, 3)]
    model = load(moved)
    facts = {**model.model, "root": None}  # as of drawn characters, which are no files
    found = Embeddings(model.embed(names), [names[0], "gone"], None, facts)
    path, page = tmp_path / "x.parquet", tmp_path / "a.html"
    write_embeddings(path, found)
    searched(capsys, path, names[0], "--html", page)
    text = page.read_text()
    assert text.count("<img") == 2 and text.count("<span>no picture</span>") == 1


def test_a_page_on_a_full_disk_is_one_line_after_the_table(
    gallery, tmp_path, capsys, monkeypatch
):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    path, (_, names, _, _) = gallery
    page = tmp_path / "a.html"
    page.write_text("earlier")
    monkeypatch.setattr("jml.report._picture_page._write_row", full)
    assert main(["search", str(path), names[0], f"--html={page}", "--overwrite"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(names[0]) and err.count("\n") == 1
    assert f"--html: cannot write '{page}': No space left on device; free" in err
    assert page.read_text() == "earlier" and len(list(tmp_path.iterdir())) == 1


def test_vectors_of_another_length_are_one_line(gallery, tmp_path, capsys):
    embeddings = gallery[1]
    short = embeddings._replace(vectors=embeddings.vectors[:, :3].copy())
    write_embeddings(tmp_path / "short.parquet", short)
    words = refused(capsys, tmp_path / "short.parquet", embeddings.paths[0])
    assert "short.parquet' holds vectors of 3 numbers, and its model" in words


def test_flags_and_places_that_do_not_fit_are_one_line(gallery, run, tmp_path, capsys):
    path, (vectors, names, _, facts) = gallery
    words = ("--best", "--dataroot=x")
    assert refused(capsys, path, names[0], *words) == (
        "--best: goes with the folder of a run; leave it out. --dataroot: goes with the"
        " folder of a run; leave it out."
    )
    assert refused(capsys, run, "a.jpg", "--model=x").startswith("--model: goes with")
    assert refused(capsys, "gone.parquet", "a.jpg").startswith("cannot read 'gone.parq")
    assert "no such folder" in refused(capsys, tmp_path / "gone", "a.jpg")
    assert "--top: 0 must be at least 1." == refused(capsys, path, "a", "--top=0")
    other = tmp_path / "other.parquet"
    facts = {**facts, "digest": 64 * "0"}
    write_embeddings(other, Embeddings(vectors, names, None, facts))
    assert "has other weights than those that made" in refused(capsys, other, names[0])


@pytest.mark.slow
def test_a_reader_that_leaves_and_a_closed_output_are_no_tracebacks(gallery):
    path, (_, names, _, _) = gallery
    command = [sys.executable, "-m", "jml", "search", str(path), *names[:60]]
    root = os.path.dirname(os.path.dirname(jml.__file__))
    for shell in ('"$@" --top 71 | head -2', '"$@" >&-'):
        done = subprocess.run(
            ["bash", "-c", shell, "bash", *map(os.fsencode, command)],
            capture_output=True,
            cwd=root,
        )
        assert b"Traceback" not in done.stderr, done.stderr
        assert done.stderr.count(b"\n") <= 1
