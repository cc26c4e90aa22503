"""Embeddings on disk: what is written is read, and whatever else is one line."""

import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jml.errors import UserError
from jml.inference import (
    EmbeddingParts,
    Embeddings,
    Part,
    read_embeddings,
    write_embeddings,
)
from jml.inference._embeddings_file._names_in_tables import from_table, to_table

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

MODEL = {"model": "runs/caf\udce9", "digest": "ab" * 32, "metric": "euclidean"}
PATHS = [
    "b/2.jpg",
    "a/1.png",
    "caf\udce9/\0 ü,\n\"'.jpg",
    "a/1.png",
    "日本\U0001f600.gif",
]


def some(rows=5, columns=3, **model):
    vectors = np.random.default_rng(rows).normal(size=(rows, columns))
    labels = ["b", "a", "caf\udce9", None, "é"] * rows
    return Embeddings(
        vectors.astype(np.float32),
        (PATHS * rows)[:rows],
        labels[:rows],
        MODEL | model,
    )


def assert_equal(read, written):
    assert read.vectors.dtype == np.float32
    np.testing.assert_array_equal(read.vectors, written.vectors)
    assert read[1:] == written[1:]


@pytest.mark.parametrize("name", ["x.parquet", "x.npy", "caf\udce9.parquet"])
def test_what_is_written_is_read(tmp_path, name):
    written = some()
    for embeddings in (written, written._replace(labels=None)):
        path = write_embeddings(tmp_path / name, embeddings, overwrite=True)
        assert_equal(read_embeddings(path), embeddings)
    assert len(list(tmp_path.iterdir())) == (3 if ".npy" in name else 1)


@given(st.text(st.characters(), max_size=20))
@example("\0dce9")
@example("\0")
@settings(max_examples=200, deadline=None)
def test_any_name_survives(name):
    text = to_table(name)
    assert from_table(text.encode().decode()) == name


def test_ordinary_names_stand_as_they_are(tmp_path):
    path = write_embeddings(tmp_path / "x.parquet", some())
    table = parquet.read_table(path)  # by another reader than ours
    assert table.column("path").to_pylist()[1] == "a/1.png"
    assert table.column("label").to_pylist()[3:] == [None, "é"]
    assert str(table.schema.field("embedding").type) == (
        "fixed_size_list<element: float>[3]"
    )
    vectors = np.array(table.column("embedding").to_pylist(), np.float32)
    np.testing.assert_array_equal(vectors, some().vectors)
    assert json.loads(table.schema.metadata[b"jml"]) == MODEL


def write_parts(folder, embeddings, *, shards=3, size=4, bad=()):
    """The parts of a collection of which the rows `bad` cannot be read."""
    vectors, paths, labels, model = embeddings
    for shard in range(shards):
        numbers = {"shard": shard, "shards": shards, "size": size}
        parts = EmbeddingParts(folder, paths, labels, model, **numbers)
        for part in parts.begin():
            rows = part.rows()
            readable = [row for row in rows if row not in bad]
            reasons = {row: "bad" for row in rows if row in bad}
            parts.write(part, vectors[readable], reasons)


@pytest.mark.parametrize("shards, size", [(1, 4), (3, 4), (7, 1), (40, 9)])
def test_parts_are_put_in_the_order_of_the_collection(tmp_path, shards, size):
    whole, bad = some(30), {0, 4, 29}
    write_parts(tmp_path / "x.parquet", whole, shards=shards, size=size, bad=bad)
    read = read_embeddings(tmp_path / "x.parquet")
    rows = [row for row in range(30) if row not in bad]
    np.testing.assert_array_equal(read.vectors, whole.vectors[rows])
    assert read.paths == [whole.paths[row] for row in rows]
    assert read.labels == [whole.labels[row] for row in rows]


def test_files_that_are_no_parts_are_read_by_their_names(tmp_path):
    folder = tmp_path / "x.parquet"
    folder.mkdir()
    for name, rows in (("b.parquet", 2), ("a.parquet", 3)):
        write_embeddings(folder / name, some(rows))
    (folder / "_SUCCESS").touch()
    expected = np.concatenate([some(3).vectors, some(2).vectors])
    np.testing.assert_array_equal(read_embeddings(folder).vectors, expected)


def one_line(path, *words):
    with pytest.raises(UserError) as caught:
        read_embeddings(path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 600
    for word in (path.stem, *words):
        assert word in message


def test_a_missing_part_is_noticed(tmp_path):
    folder = tmp_path / "x.parquet"
    write_parts(folder, some(30))
    (folder / Part(30, shard=1, shards=3, number=2).file_name()).unlink()
    one_line(folder, "1 of 3 shards are not whole: 1 (2 of 3 parts)", "--shard")
    for file in folder.iterdir():
        file.unlink()
    one_line(folder, "holds no .parquet file")


def test_parts_of_different_models_or_lists_do_not_mix(tmp_path):
    folder, other = tmp_path / "x.parquet", tmp_path / "y.parquet"
    write_parts(folder, some(8), shards=2, size=2)
    name = Part(8, shard=1, shards=2, number=1).file_name()
    for embeddings, word in (
        (some(8, digest="cd" * 32), "digest"),
        (some(8, precision="bfloat16"), "precision"),
        (some(8, columns=4), "columns"),
        (some(8)._replace(paths=["a"] * 8), "collection"),
    ):
        write_parts(other, embeddings, shards=2, size=2)
        shutil.copy(other / name, folder / name)
        one_line(folder, word, name)
        shutil.rmtree(other)
        (tmp_path / "y.parquet.json").unlink()
    write_parts(other, some(8, model="/elsewhere"), shards=2, size=2)
    shutil.copy(other / name, folder / name)  # the same model by another path
    assert len(read_embeddings(folder).paths) == 8
    shutil.copy(folder / name, folder / name.replace("000001.", "000009."))
    one_line(folder, "renamed")


def test_a_damaged_file_is_one_line(tmp_path):
    path = write_embeddings(tmp_path / "x.parquet", some(200))
    data = path.read_bytes()
    for size in (0, 3, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:size])
        one_line(path, "cannot read")
    random = np.random.default_rng(0)
    for _ in range(60):  # whatever it holds: no other exception, and no crash
        damaged = bytearray(data)
        for at in random.integers(len(data), size=8):
            damaged[at] = random.integers(256)
        path.write_bytes(damaged)
        try:
            read_embeddings(path)
        except UserError as error:
            assert path.name in str(error) and "\n" not in str(error)
    at = data.index(some(200).vectors[150].tobytes())
    path.write_bytes(data[:at] + b"?" + data[at + 1 :])
    one_line(path, "cannot read", "CRC")
    one_line(tmp_path / "none.parquet", "No such file")
    one_line(tmp_path / "x.csv", "neither .parquet nor .npy")


def table_of(columns, metadata=None):
    about = metadata if metadata is not None else json.dumps(MODEL)
    return pa.table(columns).replace_schema_metadata({"jml": about} if about else {})


def test_files_of_something_else_are_one_line(tmp_path):
    path = tmp_path / "x.parquet"
    vectors = pa.array([[1.0, 2.0]], pa.list_(pa.float32(), 2))
    good = {"path": ["a"], "label": pa.array(["b"]), "embedding": vectors}
    ragged = pa.array([[1.0, 2.0]], pa.list_(pa.float32()))
    holes = pa.array([[1.0, None]], pa.list_(pa.float32(), 2))
    none = pa.array([None], pa.list_(pa.float32(), 2))
    for table, word in (
        (table_of({"path": ["a"]}), "no column label and no embedding"),
        (table_of(good | {"path": [1]}), "column path is int64"),
        (table_of(good | {"embedding": ragged}), "no fixed_size_list"),
        (table_of(good | {"embedding": holes}), "lacks its path or its vector"),
        (table_of(good | {"embedding": none}), "lacks its path or its vector"),
        (table_of(good, ""), "does not say what model"),
        (table_of(good, "[1]"), "metadata is damaged"),
        (table_of(good, '{"part": {"images": -1}}'), "metadata is damaged"),
        (table_of(good, "[" * 100_000), "metadata is damaged"),
        (table_of(good, '{"model": "a"}'), "lacks the model"),
        (table_of(good, json.dumps(MODEL | {"digest": "../x"})), "digest"),
        (table_of(good).slice(0, 0), "no rows"),
    ):
        parquet.write_table(table, path)
        one_line(path, word)
    parquet.write_table(table_of(good), path)
    assert read_embeddings(path).labels == ["b"]


def test_npy_files_without_their_list_are_one_line(tmp_path):
    path = write_embeddings(tmp_path / "x.npy", some())
    listed, about = tmp_path / "x.csv", tmp_path / "x.json"
    lines = listed.read_bytes()
    for broken, word in (
        (b"path\na\n", "path,label"),
        (b"path,label\na,b\n", "1 paths for the 5"),
    ):
        listed.write_bytes(broken)
        one_line(path, word)
    listed.unlink()
    one_line(path, "x.csv")
    listed.write_bytes(lines)
    about.write_bytes(b"{}")
    one_line(path, "x.json")
    about.unlink()
    one_line(path, "x.json")
    np.save(path, np.zeros((5, 3)))
    one_line(path, "float64 (5, 3)")
    np.save(path, np.array([{}]), allow_pickle=True)  # a pickle is not opened
    one_line(path, "cannot read")


def test_nothing_is_overwritten_unless_it_is_said(tmp_path):
    for name in ("x.parquet", "x.npy"):
        path = write_embeddings(tmp_path / name, some())
        before = path.read_bytes()
        with pytest.raises(UserError, match=r"exists; choose another, or pass `overw"):
            write_embeddings(path, some(7))
        assert path.read_bytes() == before
    with pytest.raises(UserError, match="`path`: cannot write"):
        write_embeddings(tmp_path / "x.npy" / "y.parquet", some())


def fail(*arguments):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("name", ["x.parquet", "x.npy"])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, name):
    path = write_embeddings(tmp_path / name, some())
    before = os.listdir(tmp_path)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="No space left on device; free space there"):
        write_embeddings(path, some(7), overwrite=True)
    assert_equal(read_embeddings(path), some())
    assert sorted(os.listdir(tmp_path)) == sorted(before)


def test_half_replaced_files_are_not_read(tmp_path, monkeypatch):
    path = write_embeddings(tmp_path / "x.npy", some())
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(UserError, match="No space left"):
            write_embeddings(path, some(7), overwrite=True)
    one_line(path, "x.json")


def test_what_does_not_fit_is_refused(tmp_path):
    good = some()
    for wrong in (
        good._replace(vectors=good.vectors.astype(np.float64)),
        good._replace(paths=good.paths[1:]),
        good._replace(labels=["a"]),
    ):
        with pytest.raises(ValueError, match="write_embeddings: `"):
            write_embeddings(tmp_path / "x.parquet", wrong)
    with pytest.raises(UserError, match="neither"):
        write_embeddings(tmp_path / "x.txt", good)


def test_vectors_are_in_memory_once(tmp_path):
    rows, columns = 200_000, 64
    vectors = np.zeros((rows, columns), np.float32)
    whole = Embeddings(vectors, ["a"] * rows, None, MODEL)
    path = write_embeddings(tmp_path / "x.parquet", whole)
    pool = pa.default_memory_pool()
    before = pool.bytes_allocated()
    peak = pa.proxy_memory_pool(pool)
    pa.set_memory_pool(peak)
    try:
        read_embeddings(path)
    finally:
        pa.set_memory_pool(pool)
    assert pool.bytes_allocated() - before < vectors.nbytes / 4
    assert peak.max_memory() < vectors.nbytes / 2
