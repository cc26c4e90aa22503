"""Weights files: both directions, every network, and each thing that can be wrong."""

import hashlib
import pickle
import re
import sys
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest
import torch
import torchvision
from safetensors.numpy import load_file, save_file

from jml.errors import UserError
from jml.models import (
    ARCHITECTURES,
    create,
    from_state_dict,
    load_weights,
    save_weights,
    to_state_dict,
)
from jml.models._weights import IMAGENET

from .torchvision_nets import EMBEDDING_DIM, numpy_state, random_net, same_model

slow = pytest.mark.slow


def assert_same(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize(
    "arch",
    [
        pytest.param(arch, marks=() if arch in ("resnet18", "resnet50") else slow)
        for arch in ARCHITECTURES
    ],
)
def test_state_dicts_keep_every_bit_in_both_directions(arch):
    net = random_net(arch).float()
    _, params, stats = same_model(arch, net, np.float32)
    state = to_state_dict(params, stats)

    expected = numpy_state(net)
    assert state.keys() == expected.keys()
    for name, array in state.items():
        assert array.dtype == expected[name].dtype
        np.testing.assert_array_equal(array, expected[name], err_msg=name)
    fresh = create(arch, embedding_dim=EMBEDDING_DIM, seed=1)
    assert_same(from_state_dict(state, *fresh[1:]), (params, stats))


@pytest.fixture(scope="module")
def model():
    return create("resnet18", embedding_dim=EMBEDDING_DIM)


@pytest.fixture
def saved(model, tmp_path) -> Path:
    path = tmp_path / "weights.safetensors"
    save_weights(path, *model[1:])
    return path


def fails(weights, arch="resnet18", dim=EMBEDDING_DIM) -> str:
    with pytest.raises(UserError) as caught:
        create(arch, embedding_dim=dim, weights=str(weights))
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("`weights")
    return message


def test_torchvision_loads_saved_weights(saved):
    net = torchvision.models.resnet18()
    net.fc = torch.nn.Linear(512, EMBEDDING_DIM)
    state = {name: torch.tensor(x) for name, x in load_file(saved).items()}
    net.load_state_dict(state, strict=True)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_weights_file_fills_the_whole_model(model, saved, suffix):
    if suffix == ".pth":
        state = {name: torch.tensor(x) for name, x in load_file(saved).items()}
        saved = saved.with_suffix(suffix)
        torch.save(state, saved)
    loaded = create("resnet18", embedding_dim=5, seed=9, weights=str(saved))
    assert_same(loaded[1:], model[1:])


def test_saving_weights_leaves_no_other_file(saved):
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_batch_counters_are_optional_and_precision_is_the_models(model):
    state = to_state_dict(*model[1:])
    state = {n: x.astype(np.float64) for n, x in state.items() if "num_" not in n}
    assert_same(from_state_dict(state, *model[1:]), model[1:])


def test_an_imagenet_head_is_left_out(tmp_path):
    net = torchvision.models.resnet18()
    torch.save(net.state_dict(), tmp_path / "imagenet.pth")
    path = str(tmp_path / "imagenet.pth")
    fresh = create("resnet18", embedding_dim=5)
    loaded = create("resnet18", embedding_dim=5, weights=path)
    assert_same(loaded.params["fc"], fresh.params["fc"])
    kernel = loaded.params["backbone"]["conv1"]["weight"]
    expected = net.conv1.weight.detach().numpy().transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(kernel, expected)
    # A head of the same size is no stranger.
    whole = create("resnet18", embedding_dim=1000, weights=path)
    np.testing.assert_array_equal(whole.params["fc"]["bias"], net.fc.bias.detach())


def test_weights_of_another_embedding_dim_are_an_error(saved):
    message = fails(saved, dim=7)
    assert "fc.weight (5, 512) instead of (7, 512)" in message
    assert "`embedding_dim`" in message


def test_weights_of_another_network_are_an_error(saved):
    message = fails(saved, arch="resnet34")
    assert re.search(r"missing: layer1\.2\.bn1\.bias, .* and \d+ more", message)
    assert "'" + str(saved) + "' does not fit resnet34" in message


def test_every_kind_of_misfit_of_weights_is_listed(model, tmp_path):
    state = to_state_dict(*model[1:])
    del state["bn1.bias"]
    state["bn9.bias"] = np.zeros(3, np.float32)
    state["bn1.weight"] = np.zeros(3, np.float32)
    save_file(state, tmp_path / "w.safetensors")
    message = fails(tmp_path / "w.safetensors")
    assert "missing: bn1.bias; unknown: bn9.bias" in message
    assert "misshapen: bn1.weight (3,) instead of (64,)" in message


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", ["empty", "noise", "half"])
def test_damaged_weights_files_are_one_line(saved, suffix, content):
    path = saved.with_name(f"damaged{suffix}")
    if suffix == ".pth":
        torch.save({"fc.bias": torch.ones(9999)}, path)
    else:
        path.write_bytes(saved.read_bytes())
    whole = path.read_bytes()
    parts = {"empty": b"", "noise": b"\x93abc" * 99, "half": whole[: len(whole) // 2]}
    path.write_bytes(parts[content])
    message = fails(path)
    assert f"'{path}'" in message
    assert "damaged" in message
    assert "weights_only" not in message  # PyTorch's own text would have it off


class Trap:
    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


def test_code_in_a_weights_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"fc.bias": Trap()}, "trap.pth")
    Path("bare.pth").write_bytes(pickle.dumps(Trap()))
    for name in ("trap.pth", "bare.pth"):
        assert "not safe to load" in fails(name)
    assert not Path("sprung").exists()


def test_files_that_cannot_be_weights_are_one_line(tmp_path):
    assert "no such file" in fails(tmp_path / "none.pth")
    assert "neither 'none', 'imagenet'" in fails("imagenett")
    torch.save([torch.ones(3)], tmp_path / "list.pth")
    assert "no plain state dict" in fails(tmp_path / "list.pth")


def test_a_pth_file_without_torch_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "w.pth").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "needs PyTorch" in fails(tmp_path / "w.pth")


def test_imagenet_files_are_torchvisions():
    for arch in ARCHITECTURES:
        weights = torchvision.models.get_model_weights(arch).IMAGENET1K_V1
        assert IMAGENET[arch] == weights.url


def test_a_network_without_imagenet_weights_is_one_line(monkeypatch):
    monkeypatch.delitem(IMAGENET, "resnet18")
    assert fails("imagenet") == (
        "`weights`: there are no ImageNet weights of 'resnet18'; pass a file, or"
        ' `weights="none"`.'
    )


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Puts a small file where the ImageNet weights would be; returns its digits."""
    net = torchvision.models.resnet18()
    torch.save(net.state_dict(), tmp_path / "served.pth")
    digits = hashlib.sha256((tmp_path / "served.pth").read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def serve(name: str) -> None:
        (tmp_path / "served.pth").rename(tmp_path / name)
        monkeypatch.setitem(IMAGENET, "resnet18", (tmp_path / name).as_uri())

    return digits, serve


def test_imagenet_weights_are_downloaded_once_and_checked(server, model, tmp_path):
    digits, serve = server
    serve(f"resnet18-{digits}.pth")
    first = load_weights("imagenet", "resnet18", *model[1:])
    (tmp_path / f"resnet18-{digits}.pth").unlink()
    assert_same(load_weights("imagenet", "resnet18", *model[1:]), first)


def test_a_download_of_weights_that_fails_is_one_line(server):
    _, serve = server
    serve("resnet18-00000000.pth")
    message = fails("imagenet")
    assert "invalid hash" in message
    assert '`weights`, or `weights="none"`' in message
    IMAGENET["resnet18"] += ".gone"
    assert "cannot download" in fails("imagenet")


@pytest.mark.filterwarnings("ignore")  # all of it is deprecated, and in use
def test_programs_in_place_of_weights_are_refused_and_not_run(tmp_path, monkeypatch):
    def run(*arguments, **options):
        raise AssertionError("run")

    script = torch.jit.script(torch.nn.Linear(2, 2))
    for name in ("w.pth", "w.pt", "w.torchscript", "w.safetensors"):
        torch.jit.save(script, tmp_path / name)
    script._save_for_lite_interpreter(str(tmp_path / "lite.pth"))
    with zipfile.ZipFile(tmp_path / "exported.pt2", "w") as exported:
        exported.writestr("exported/archive_format", "pt2")  # as torch.export has it
    monkeypatch.setattr(torch.jit, "load", run)
    monkeypatch.setattr(torch, "load", run)
    paths = list(tmp_path.iterdir())
    assert len(paths) == 6
    for path in paths:
        message = fails(path)
        assert f"'{path}' is TorchScript or another exported program" in message
        assert "torch.save(model.state_dict(), " in message
        assert "weights_only" not in message and "jit.load" not in message
