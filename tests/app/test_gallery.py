"""What ``RUN | X.parquet`` means for the commands, and the model of a file."""

import hashlib

import numpy as np
import pytest

from jml.app._use._gallery import (
    check_embeddings,
    find_model,
    is_run,
    metric_of,
    open_embeddings,
)
from jml.errors import UserError
from jml.inference import Embeddings, write_embeddings

DIGEST = hashlib.sha256(b"weights").hexdigest()


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "weights.safetensors").write_bytes(b"weights")
    (folder / "best.safetensors").write_bytes(b"best")
    return folder


def of(model, vectors=((1, 2), (3, 4)), metric="euclidean", digest=DIGEST):
    facts = {"model": str(model), "digest": digest, "metric": metric}
    vectors = np.asarray(vectors, np.float32)
    return Embeddings(vectors, [f"{i}.jpg" for i in range(len(vectors))], None, facts)


def test_a_run_and_embeddings_are_told_apart(run, tmp_path):
    (tmp_path / "parts.parquet").mkdir()
    (tmp_path / "photos").mkdir()
    assert is_run(run) and is_run(tmp_path / "gone")
    for name in ("parts.parquet", "gone.parquet", "x.npy"):
        assert not is_run(tmp_path / name)
    with pytest.raises(UserError, match=r"photos' is neither .* jml embed RUN FOLDER"):
        is_run(tmp_path / "photos")


def test_vectors_that_are_not_finite_are_one_line(tmp_path):
    vectors = np.ones((9, 2))
    vectors[4, 1], vectors[7, 0] = np.nan, np.inf
    write_embeddings(tmp_path / "x.parquet", of("r", vectors))
    with pytest.raises(UserError, match=r"NaN or infinity: 2 of 9, .* that of '4.jpg'"):
        open_embeddings(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"infinity: that of '7.jpg';"):
        some = of("r", vectors[5:])._replace(paths=[f"{i}.jpg" for i in range(5, 9)])
        check_embeddings(tmp_path, some)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_embeddings_without_numbers_are_one_line(shape, tmp_path):
    with pytest.raises(UserError, match=r"holds (no embeddings|embeddings without)"):
        check_embeddings(tmp_path, of("r", np.ones(shape)))


def test_the_metric_is_the_flag_s_or_the_file_s(tmp_path):
    embeddings = of("r", metric="cosine")
    assert metric_of(tmp_path, embeddings, None) == "cosine"
    assert metric_of(tmp_path, embeddings, "euclidean") == "euclidean"
    with pytest.raises(UserError, match=r"'manhattan', .* pass --metric euclidean or"):
        metric_of(tmp_path, of("r", metric="manhattan"), None)


def test_the_model_of_a_file_is_found_by_its_path_and_its_digest(run, tmp_path):
    x = tmp_path / "x.parquet"
    assert find_model(x, of(run), None) == (run, False)
    best = hashlib.sha256(b"best").hexdigest()
    assert find_model(x, of(run, digest=best), None) == (run, True)
    moved = run.rename(tmp_path / "moved")
    with pytest.raises(UserError, match=r"was made by '.*run', which is not there;"):
        find_model(x, of(run), None)
    assert find_model(x, of(run), moved) == (moved, False)
    with pytest.raises(UserError, match="--model: 'none' is not there"):
        find_model(x, of(run), type(run)("none"))


def test_a_model_with_other_weights_is_refused(run, tmp_path):
    (run / "weights.safetensors").write_bytes(b"after more steps")
    with pytest.raises(UserError, match=r"--model: '.*run' has other weights than"):
        find_model(tmp_path / "x.parquet", of(run), None)
    for name in ("weights", "best"):
        (run / f"{name}.safetensors").unlink()
    with pytest.raises(UserError, match="has no weights"):
        find_model(tmp_path / "x.parquet", of(run), run)
