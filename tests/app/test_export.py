"""``python -m jml.export``: the same embeddings, elsewhere."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from functools import partial

import jax
import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load

from jml.app._config import Config
from jml.app._export import main
from jml.app._run_folder import load_class_weights
from jml.data import center_crop_normalize
from jml.errors import UserError
from jml.models import create, embed, save_weights
from tests.compilation import QUICK


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run's folder, images, and the embeddings that its network gives them."""
    folder = tmp_path_factory.mktemp("run")
    options = {"arch": "resnet18", "weights": "none", "image_size": 32}
    config = Config(**options, embedding_dim=8, seed=3, loss="arcface")
    model = create("resnet18", embedding_dim=8, l2norm=True, seed=3)
    move = np.random.default_rng(0)
    stats = jax.tree.map(
        lambda a: a + move.uniform(0, 0.5, a.shape).astype(np.float32),
        model.batch_stats,
    )
    (folder / "config.json").write_text(json.dumps(asdict(config)))
    save_weights(folder / "weights.safetensors", model.params, stats)
    others = {"class_weights": np.arange(24, dtype=np.float32).reshape(3, 8)}
    save_weights(folder / "class_weights.safetensors", {}, {}, others=others)
    images = move.integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    inputs = center_crop_normalize(images, crop=32)
    run = jax.jit(partial(embed, model.graphdef, train=False), compiler_options=QUICK)
    expected, _ = run(model.params, stats, inputs)
    return folder, images, np.asarray(inputs), np.asarray(expected)


@pytest.mark.parametrize("kind", ["torch", "safetensors"])
def test_torchvision_gives_the_same_embeddings_with_exported_weights(
    trained, tmp_path, kind, capsys
):
    folder, _, inputs, expected = trained
    out = tmp_path / "n\udce9t"
    flags = [f"--to={kind}", f"--out={out}", "--with_weights"]
    assert main([str(folder), *flags]) == 0
    assert "divided by their length" in capsys.readouterr().out
    read = {"torch": lambda: torch.load(out, weights_only=True)}
    state = read.get(kind, lambda: load(out.read_bytes()))()
    weights = state.pop("class_weights")
    np.testing.assert_array_equal(weights, np.arange(24).reshape(3, 8))
    net = torchvision.models.resnet18()
    net.fc = torch.nn.Linear(512, 8)
    net.load_state_dict(state, strict=True)
    with torch.no_grad():
        outputs = net.eval()(torch.from_numpy(inputs.transpose(0, 3, 1, 2).copy()))
    outputs = torch.nn.functional.normalize(outputs).numpy()
    np.testing.assert_allclose(outputs, expected, atol=1e-5)


@pytest.mark.slow
def test_jax_alone_runs_the_exported_function(trained, tmp_path, capsys):
    pytest.importorskip("flatbuffers")
    folder, images, _, expected = trained
    out = tmp_path / "net.jax"
    assert main([str(folder), "--to=stablehlo", f"--out={out}"]) == 0
    assert "(pip install jax flatbuffers)" in capsys.readouterr().out
    np.save(tmp_path / "images.npy", images)
    program = (
        "import sys, numpy as np\n"
        "from jax import export\n"
        "net = export.deserialize(bytearray(open(sys.argv[1], 'rb').read()))\n"
        "images = np.load('images.npy')\n"
        "parts = [np.asarray(net.call(images[:2])), np.asarray(net.call(images[2:]))]\n"
        "assert not {'jml', 'flax', 'optax'} & set(sys.modules)\n"
        "np.save('embeddings.npy', np.concatenate(parts))\n"
    )
    command = [sys.executable, "-c", program, str(out)]
    quick = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    subprocess.run(command, cwd=tmp_path, check=True, env=quick)
    np.testing.assert_allclose(
        np.load(tmp_path / "embeddings.npy"), expected, atol=1e-5
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{run}"], "the following arguments are required: --to"),
        (["{run}", "--to=onnx"], "--to: unknown 'onnx'; choose from torch,"),
        (["nowhere", "--to=torch"], "cannot read 'nowhere/config.json'"),
        (["{run}", "--to=torch", "--out={place}/there"], "there' exists"),
        (
            ["{run}", "--to=torch", "--out=/dev/null/x"],
            "--out: '/dev/null' is no folder",
        ),
        (
            ["{run}", "--to=stablehlo", "--with_weights"],
            "--with_weights: --to stablehlo writes a function of images alone;",
        ),
    ],
    ids=[
        "no --to",
        "unknown --to",
        "no run",
        "a file that exists",
        "no folder",
        "a function with class weights",
    ],
)
def test_a_mistake_in_an_export_is_one_line(
    trained, tmp_path, capsys, arguments, words
):
    (tmp_path / "there").write_text("mine")
    places = {"run": trained[0], "place": tmp_path}
    assert main([argument.format(**places) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("python -m jml.export: error: ") and words in error
    assert error.count("\n") == 1
    assert (tmp_path / "there").read_text() == "mine"


def test_class_weights_that_are_not_there_are_one_line(tmp_path):
    words = "--with_weights: --loss triplet has no class weights; leave it out."
    for loss, line in (("triplet", words), ("cosface", "has no best_class_weights.s")):
        with pytest.raises(UserError) as error:
            load_class_weights(tmp_path, Config(loss=loss), which="best")
        assert line in str(error.value)
    (tmp_path / "class_weights.safetensors").write_text("no tensors")
    with pytest.raises(UserError, match=r"^--with_weights: cannot read .* anew"):
        load_class_weights(tmp_path, Config(loss="cosface"))
    others = {"fc.bias": np.zeros(3, np.float32)}
    save_weights(tmp_path / "class_weights.safetensors", {}, {}, others=others)
    with pytest.raises(UserError, match=r"^--with_weights: .* not of class weights;"):
        load_class_weights(tmp_path, Config(loss="cosface"))


def test_an_export_to_a_full_disk_is_one_line(trained, tmp_path, monkeypatch, capsys):
    def full(*arguments):
        raise RuntimeError("[enforce fail at inline_container.cc]\nfile write failed")

    monkeypatch.setattr(torch, "save", full)
    assert main([str(trained[0]), "--to=torch", f"--out={tmp_path / 'net'}"]) == 2
    error = capsys.readouterr().err
    assert "--out: cannot write" in error and "file write failed" in error
    assert error.count("\n") == 1 and not list(tmp_path.iterdir())


def test_what_safetensors_cannot_write_is_one_line(trained, tmp_path, capsys):
    folder, out = str(trained[0]), tmp_path / "net"
    (tmp_path / "unfinished-net").mkdir()  # where it is written first
    assert main([folder, "--to=safetensors", f"--out={out}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"python -m jml.export: error: --out: cannot write '{out}'")
    assert error.count("\n") == 1
