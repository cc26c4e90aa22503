"""``jml index``: a file that the libraries read, with rows as ids, and its recall."""

import resource

import faiss  # before usearch: after it, faiss ends the process
import numpy as np
import pytest
from usearch.index import Index, MetricKind

from jml.app._console import main
from jml.app._use._faiss_index import FaissIndex
from jml.app._use._index import measure
from jml.app._use._usearch_index import UsearchIndex
from jml.inference import Embeddings, write_embeddings

N, D = 600, 16
MODEL = {"model": "runs/a", "digest": 64 * "0"}


def vectors_of(n=N, seed=0):
    rng = np.random.default_rng(seed)
    centres = 3 * rng.normal(size=(20, D))
    x = centres[rng.integers(0, 20, n)] + rng.normal(size=(n, D))
    return (x * rng.uniform(0.5, 2, (n, 1))).astype(np.float32)


def write(folder, x, metric="euclidean"):
    names = [f"{i}.jpg" for i in range(len(x))]
    embeddings = Embeddings(x, names, None, {**MODEL, "metric": metric})
    return write_embeddings(folder / "x.parquet", embeddings)


def indexed(capsys, *words):
    assert main(["index", *map(str, words)]) == 0
    return capsys.readouterr()


def refused(capsys, *words):
    code = main(["index", *map(str, words)])
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert code == 2 and out == "" and not any("Error" in line for line in lines)
    return lines[-1].removeprefix("jml index: error: ")


def order_of(x, metric):
    """The exact order of all rows for each row, in NumPy."""
    x = x.astype(np.float64)
    if metric == "cosine":
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.argsort(((x[:, None] - x) ** 2).sum(axis=2), axis=1, kind="stable")


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_faiss_reads_the_index_and_finds_rows(metric, tmp_path, capsys):
    x = vectors_of()
    out, err = indexed(capsys, write(tmp_path, x, metric), "--to=faiss")
    assert err == "building the index of 600 vectors\n"
    index = faiss.read_index(str(tmp_path / "x.faiss"))
    assert index.ntotal == N and index.d == D and index.hnsw.efSearch == 64
    cosine = metric == "cosine"
    kind = faiss.METRIC_INNER_PRODUCT if cosine else faiss.METRIC_L2
    assert index.metric_type == kind and ("inner products" in out) == cosine
    queries = x / np.linalg.norm(x, axis=1, keepdims=True) if cosine else x
    numbers, ids = index.search(queries, 5)
    assert (ids[:, 0] == np.arange(N)).mean() > 0.99
    assert (ids == order_of(x, metric)[:, :5]).mean() > 0.98
    np.testing.assert_allclose(numbers[:, 0], 1.0 if cosine else 0.0, atol=1e-3)
    assert "faiss HNSW32, efConstruction=100, efSearch=64: 600 vectors of 16" in out
    assert "Recall@10 against the exact answer: " in out and "(60 random rows" in out
    assert out.endswith(f"written: {tmp_path / 'x.faiss'}\n")


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_usearch_reads_the_index_and_finds_rows(metric, tmp_path, capsys):
    x, out = vectors_of(), tmp_path / "n\udce9w.usearch"
    text, _ = indexed(capsys, write(tmp_path, x, metric), "--to=usearch", "--out", out)
    plain = out.rename(tmp_path / "plain")
    index = Index.restore(str(plain))
    cosine = metric == "cosine"
    assert len(index) == N and index.ndim == D
    assert index.metric_kind == (MetricKind.Cos if cosine else MetricKind.L2sq)
    ids = np.asarray(index.search(x, 5).keys)
    assert (ids == order_of(x, metric)[:, :5]).mean() > 0.98
    assert text.startswith("usearch HNSW, connectivity 16, expansion_add 128")
    again = tmp_path / "again.usearch"
    words = ("--to=usearch", "--out", again, "--threads=1")
    indexed(capsys, tmp_path / "x.parquet", *words)
    first = again.read_bytes()
    indexed(capsys, tmp_path / "x.parquet", *words, "--overwrite")
    assert again.read_bytes() == first and len(Index.restore(str(again))) == N


@pytest.mark.parametrize(
    "factory",
    ["Flat", "IVF8,Flat", "IVF8,PQ4x4", "OPQ4,IVF4,PQ4x4", "HNSW8_SQ8", "NSG16", "SQ8"],
)
def test_other_indices_of_faiss_are_trained_and_have_rows_as_ids(
    factory, tmp_path, capsys
):
    x, out = vectors_of(), tmp_path / "o"
    words = ("--to=faiss", "--factory", factory, "--out", out, "--threads=1")
    text, _ = indexed(capsys, write(tmp_path, x), *words)
    index = faiss.read_index(str(out))
    found = index.search(x, 10)[1]
    assert index.ntotal == N
    # The products of PQ are coarse: there the row is among the first.
    assert (found == np.arange(N)[:, None]).any(axis=1).mean() > 0.9
    assert ("100.00 %" in text) == (factory == "Flat") or factory == "NSG16"


def test_parameters_of_a_search_stay_in_the_index(tmp_path, capsys):
    path = write(tmp_path, vectors_of())
    shares = []
    for name in ("nprobe=1", "nprobe=16"):
        words = ("--factory=IVF16,Flat", f"--parameters={name}", "--overwrite")
        out, _ = indexed(capsys, path, "--to=faiss", *words)
        shares.append(float(out.split("exact answer: ")[1].split()[0]))
    index = faiss.read_index(str(tmp_path / "x.faiss"))
    assert index.nprobe == 16 and shares[1] == 100 > shares[0]
    words = ("--parameters=efSearch=99", "--overwrite")
    out, _ = indexed(capsys, path, "--to=faiss", *words)
    assert "efSearch=99" in out and "efSearch=64" not in out
    assert faiss.read_index(str(tmp_path / "x.faiss")).hnsw.efSearch == 99


class Stub:
    """An index that finds what it is told."""

    def __init__(self, answers):
        self.search = lambda queries, k: np.asarray(answers)


def test_the_recall_is_the_share_of_the_exact_answer():
    x = np.float32([[0], [1], [2], [3], [4], [5], [6], [7], [8], [9], [10], [11], [1]])
    rows = np.arange(1, 13)
    # Of the ten nearest to row 0: 1 to 9, and 12, which equals 1.
    for answer, expected in (
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 12], 1.0),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.9),
        ([1, 2, -1, -1, -1, -1, -1, -1, -1, -1], 0.2),
        ([10, 11, -1, -1, -1, -1, -1, -1, -1, -1], 0.0),
    ):
        share = measure(Stub([answer]), x, np.array([0]), rows, "euclidean")
        assert share == pytest.approx(expected)
    # As far as the tenth is as good: rows 11 and 12 are at the same place.
    x[12] = x[11] = x[10] = 20
    share = measure(
        Stub([[1, 2, 3, 4, 5, 6, 7, 8, 9, 12]]), x, np.array([0]), rows, "euclidean"
    )
    assert share == 1


@pytest.mark.parametrize("make", ["faiss", "usearch"])
def test_the_measured_index_lacks_the_rows_that_it_is_asked_for(make):
    x = vectors_of(200)
    if make == "faiss":
        index = FaissIndex(D, "euclidean", "Flat", None, 1)
    else:
        index = UsearchIndex(D, "euclidean", 1)
    queries, rows = (
        np.arange(0, 200, 10),
        np.setdiff1d(np.arange(200), range(0, 200, 10)),
    )
    index.build(x, rows)
    found = index.search(x[queries], 10)
    assert not np.isin(found, queries).any() and found.shape == (20, 10)
    assert measure(index, x, queries, rows, "euclidean") > 0.95
    assert index.search(x[:1], 250).shape == (1, 250)


@pytest.mark.parametrize("n", [1, 9, 10, 25])
@pytest.mark.parametrize("to", ["faiss", "usearch"])
def test_a_tenth_of_few_vectors_is_left_out(n, to, tmp_path, capsys):
    out, _ = indexed(capsys, write(tmp_path, vectors_of(n)), f"--to={to}")
    if n < 10:
        assert "not measured, with fewer than ten vectors" in out
    else:
        assert f"Recall@{min(10, n - n // 10)} " in out and f"({n // 10} random" in out
    assert f": {n} vectors" in out


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["--factory=bogus"],
            "--factory: faiss refuses 'bogus': could not parse index",
        ),
        (["--factory=PQ5"], "--factory: faiss refuses 'PQ5': The dimension of the vec"),
        (["--factory=IVF9999,Flat"], "--factory: faiss refuses 'IVF9999,Flat': Number"),
        (["--factory=IVF4_HNSW0,Flat"], "--factory: 'HNSW0' has too few neighbours; p"),
        (["--factory=HNSW1"], "--factory: 'HNSW1' has too few neighbours; pass 2 or"),
        (["--factory=Flat,IDMap"], "--factory: faiss refuses 'Flat,IDMap': add does n"),
        (["--parameters=bogus=3"], "--parameters: faiss refuses 'bogus=3': "),
        (["--out=."], "--out: '.' can be no file; pass the name of one."),
        (["--out=gone/x"], "--out: 'gone/x' can be no file; pass the name of one."),
        (["--to=usearch", "--factory=Flat"], "--factory: is faiss's; pass --to faiss"),
        (["--to=milvus"], "--to: unknown 'milvus'; choose from faiss, usearch."),
    ],
)
def test_a_mistake_is_one_line(words, line, tmp_path, capsys):
    path = write(tmp_path, vectors_of(50))
    assert refused(capsys, path, "--to=faiss", *words).startswith(line)
    assert [place.name for place in tmp_path.iterdir()] == ["x.parquet"]


def test_the_embeddings_are_not_replaced_and_a_place_is_looked_at_first(
    tmp_path, capsys, monkeypatch
):
    path = write(tmp_path, vectors_of(50))
    before = path.read_bytes()
    words = refused(capsys, path, "--to=faiss", f"--out={path}", "--overwrite")
    assert words.startswith(f"--out: '{path}' is read by this command, and would be r")
    assert path.read_bytes() == before
    monkeypatch.setattr("os.access", lambda place, mode: False)
    assert "faiss': Permission denied; free" in refused(capsys, path, "--to=faiss")


@pytest.mark.parametrize("to", ["faiss", "usearch"])
def test_a_disk_that_is_full_leaves_the_earlier_index(to, tmp_path, capsys):
    path, out = write(tmp_path, vectors_of()), tmp_path / f"x.{to}"
    out.write_text("earlier")
    assert "exists; choose another" in refused(capsys, path, f"--to={to}")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        line = refused(capsys, path, f"--to={to}", "--overwrite")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert line.startswith("--out: cannot write ") and "free space there" in line
    assert out.read_text() == "earlier" and len(list(tmp_path.iterdir())) == 2


def test_a_missing_library_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "usearch", None)
    path = write(tmp_path, vectors_of(5))
    assert refused(capsys, path, "--to=usearch") == (
        "--to usearch needs usearch, which is not installed; run: pip install"
        ' "jax-metric-learning[usearch]"'
    )
