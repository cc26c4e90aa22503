"""Runs and exports become networks that embed; what is broken is one clear line."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

import jml
from jml.app._export import main as export
from jml.errors import UserError
from jml.inference import TrainedModel

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "c\udce9py")


def edit(path, **changes):
    settings = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(settings))


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_says_what_it_is(run):
    for best, name in ((False, "weights"), (True, "best")):
        model = jml.load(str(run), best=best)
        assert isinstance(model, TrainedModel)
        assert dict(model.model) == {
            "model": os.path.abspath(run),
            "best": best,
            "digest": digest(run / f"{name}.safetensors"),
            "metric": "euclidean",
            "arch": "resnet18",
            "embedding_dim": 8,
            "l2norm": True,
            "image_size": 16,
            "precision": "float32",
            "side": 18,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
        }
        assert (model.dim, model.image_size, model.side) == (8, 16, 18)
        assert (model.metric, model.folder) == ("euclidean", run)
    assert jml.inference.load is jml.load


def test_the_best_weights_are_others(run, paths):
    last, best = (jml.load(run, best=best).embed(paths[:2]) for best in (False, True))
    assert np.abs(last - best).max() > 1e-3


@pytest.mark.parametrize("kind", ["safetensors", "torch", "stablehlo"])
def test_an_export_embeds_as_its_run(copied, paths, tmp_path, kind):
    pytest.importorskip({"torch": "torch", "stablehlo": "flatbuffers"}.get(kind, "jml"))
    suffix = {"torch": ".pth", "stablehlo": ".jax"}.get(kind, ".safetensors")
    expected = jml.load(copied, best=True)
    out = tmp_path / f"net{suffix}"
    assert export([str(copied), f"--to={kind}", "--best", f"--out={out}"]) == 0
    model = jml.load(out)
    assert model.model["digest"] == expected.model["digest"]
    assert model.folder == tmp_path and model.model["model"] == str(out)
    found, wanted = model.embed(paths), expected.embed(paths)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6 * (kind[0] == "s"))
    if kind == "stablehlo":
        with pytest.raises(UserError, match="`bfloat16`: an exported function has its"):
            model.embed(paths[:1], bfloat16=True)
    with pytest.raises(UserError, match=r"`best`: .* is a single network"):
        jml.load(out, best=True)


def test_an_export_with_class_weights_is_loaded(copied, paths):
    from jml.models import save_weights

    edit(copied / "config.json", loss="cosface")
    others = {"class_weights": np.ones((3, 8), np.float32)}
    save_weights(copied / "class_weights.safetensors", {}, {}, others=others)
    assert export([str(copied), "--to=safetensors", "--with_weights"]) == 0
    found = jml.load(copied / "model.safetensors").embed(paths[:2])
    np.testing.assert_array_equal(found, jml.load(copied).embed(paths[:2]))


def test_an_export_is_not_used_with_the_description_of_another(copied, capsys):
    command = [str(copied), "--to=safetensors"]
    out, description = copied / "model.safetensors", copied / "model.safetensors.json"
    assert export(command) == 0
    shutil.copy(copied / "best.safetensors", out)
    with pytest.raises(UserError, match=r"json' describes another file than "):
        jml.load(out)
    out.unlink()
    assert export(command) == 2 and "json' exists;" in capsys.readouterr().err
    assert export([*command, "--overwrite"]) == 0
    edit(description, mean=[0, 0, 0], metric="cosine", digest=3)
    with pytest.raises(UserError, match=r"\(metric: 'cosine'; mean: .*; digest: 3\)"):
        jml.load(out)
    description.unlink()
    with pytest.raises(UserError, match=r"has no description \('model.safetensors.js"):
        jml.load(out)


def test_an_exported_function_of_other_images_is_refused(copied):
    pytest.importorskip("flatbuffers")
    assert export([str(copied), "--to=stablehlo"]) == 0
    description = copied / "model.jax.json"
    edit(description, image_size=32)
    with pytest.raises(UserError, match="is no function of images as its description"):
        jml.load(copied / "model.jax")
    (copied / "model.jax").write_bytes(b"no flatbuffer")
    edit(description, file_digest=digest(copied / "model.jax"))
    with pytest.raises(UserError, match=r"cannot read .*model\.jax'"):
        jml.load(copied / "model.jax")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arch": "../x"}, "arch: '../x'"),
        ({"arch": ["resnet18"]}, "arch: "),
        ({"embedding_dim": 10**30}, "embedding_dim: 1000"),
        ({"embedding_dim": 8.0, "l2norm": 1}, "embedding_dim: 8.0; l2norm: 1"),
        ({"embedding_dim": True}, "embedding_dim: True"),
        ({"image_size": -1}, "image_size: -1"),
        ({"image_size": float("nan")}, "image_size: nan"),
        ({"precision": None}, "precision: None"),
        ({"embedding_dim": 9}, "does not fit resnet18"),
    ],
)
def test_an_impossible_configuration_is_one_line(copied, changes, words):
    edit(copied / "config.json", **changes)
    with pytest.raises(UserError) as error:
        jml.load(copied)
    assert str(error.value).startswith("`path`: ") and words in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_settings_of_other_versions_are_ignored(copied, paths):
    edit(copied / "config.json", loss="of the future", tomorrow={"a": 1})
    saved = json.loads((copied / "config.json").read_text())
    del saved["precision"]
    (copied / "config.json").write_text(json.dumps(saved))
    assert jml.load(copied).model["precision"] == "float32"


def test_a_run_of_an_earlier_version_is_described(tmp_path):
    import tarfile

    from jml.inference._description import read_run
    from tests.app.test_earlier_version import ARCHIVE

    with tarfile.open(ARCHIVE) as archive:
        archive.extract("./runs/before/config.json", tmp_path, filter="data")
    description = read_run(tmp_path / "runs" / "before")
    assert (description.arch, description.embedding_dim) == ("resnet18", 8)
    assert (description.l2norm, description.image_size) == (True, 16)


def damage(folder, name):
    if name == "config.json":
        (folder / name).write_text("[" * 10**5)
    elif name == "list":
        (folder / "config.json").write_text("[]")
    elif name == "weights":
        (folder / "weights.safetensors").write_bytes(b"x" * 100)
    elif name == "folder":
        (folder / "config.json").unlink()
        (folder / "config.json").mkdir()
    else:
        (folder / name).unlink()


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        ("config.json", "config.json' is no JSON: "),
        ("list", "config.json' holds no settings; "),
        ("folder", "config.json': Is a directory; pass the folder of a run"),
        ("weights", "cannot read "),
        ("weights.safetensors", "has no weights.safetensors: the run has not come to"),
    ],
)
def test_a_damaged_run_is_one_line(copied, damaged, words):
    damage(copied, damaged)
    with pytest.raises(UserError) as error:
        jml.load(copied)
    text = str(error.value)
    assert text.startswith("`path`: ") and words in text and "\n" not in text


def test_what_is_no_run_is_one_line(tmp_path):
    (tmp_path / "net.onnx").touch()
    for path, words in (
        (tmp_path, "has no config.json; pass the folder of a run"),
        (tmp_path / "none", "no such folder or file"),
        (tmp_path / "net.onnx", "nor a file with the suffix .safetensors, .pth"),
    ):
        with pytest.raises(UserError, match=words):
            jml.load(path)


def test_importing_jml_loads_no_jax():
    code = "import sys, jml; 'load' in jml.__all__ and print('jax' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert result.stdout == b"False\n"
