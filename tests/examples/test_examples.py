"""Each example runs as a script, and prints what its reader expects."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from jml.app._config import parse
from jml.app._console import main as jml
from jml.models import _resnet
from tests.app.striped_images import draw

FOLDER = Path(__file__).parents[2] / "examples"
SWEEP = yaml.safe_load((FOLDER / "wandb_sweep.yaml").read_text())

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def run(capsys, monkeypatch):
    """Runs an example in this process, and returns the lines that it prints."""

    def run(name, *arguments):
        path = str(FOLDER / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        runpy.run_path(path, run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


def precision(line):
    return float(re.search(r"MAP@R (\d\.\d{3})$", line)[1])


@pytest.mark.parametrize("name", ["nnx_loop", "equinox_loop"])
def test_an_example_of_a_training_loop_learns(run, name):
    untrained, *steps, trained = run(name)
    assert untrained.startswith("untrained Recall@1")
    assert [line.partition(":")[0] for line in steps] == [
        f"step {number}" for number in (25, 50, 75, 100)
    ]
    assert precision(trained) > precision(untrained) + 0.2


def test_the_example_of_a_memory_gains_by_it(run):
    without, remembering = run("cross_batch_memory")
    assert precision(remembering) > precision(without) + 0.05


def test_evaluation_of_arrays_and_files(run, tmp_path):
    made_up = run("evaluate_embeddings")
    assert made_up[0] == "each against all others: 600 queries, 0 left out"
    assert "queries against a gallery: 200 queries, 0 left out" in made_up
    # The same arrays from files.
    example = runpy.run_path(str(FOLDER / "evaluate_embeddings.py"))
    files = tmp_path / "embeddings.npy", tmp_path / "labels.npy"
    for file, array in zip(files, example["made_up"](), strict=True):
        np.save(file, array)
    assert run("evaluate_embeddings", *files) == made_up


def test_the_example_of_a_search_names_its_best_trial(run):
    *trials, best = run("optuna_search", 2)
    assert len(trials) == 2
    scores = [precision(line) for line in trials]
    assert best == f"best: trial {np.argmax(scores)}"


def test_the_example_of_several_devices_gets_the_same_loss_and_gradient():
    """In a process of its own: XLA counts its devices once."""
    flags = "--xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-W", "error", FOLDER / "several_devices.py"],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    alone, sharded, mapped, anchors = done.stdout.splitlines()
    value = alone.removeprefix("1 device: loss ")
    assert sharded == f"4 devices, sharded jit: loss {value}, same gradient"
    assert mapped == f"4 devices, shard_map: loss {value}, same gradient"
    assert anchors == "anchors on each device: 128 of 512"


def flags_of(parameters):
    """The flags of one run, as the agent of Weights & Biases writes them."""
    command = SWEEP["command"]
    assert command[:2] == ["${program}", "train"] and SWEEP["program"] == "jml"
    flags = [f"--{name}={value}" for name, value in parameters.items()]
    return [*command[2 : command.index("${args}")], *flags]


def test_the_sweep_parses():
    ends = {
        name: options.get("values") or [options["min"], options["max"]]
        for name, options in SWEEP["parameters"].items()
    }
    for number in range(max(map(len, ends.values()))):
        chosen = {name: values[number % len(values)] for name, values in ends.items()}
        config = parse(flags_of(chosen))
        assert {name: getattr(config, name) for name in chosen} == chosen
        assert config.wandb == "metric-learning"
    assert SWEEP["metric"]["name"] == "test/recall@1"


@pytest.mark.slow
def test_a_run_of_the_sweep_offline(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    block, _ = _resnet.DEPTHS["resnet18"]  # which takes long to compile
    monkeypatch.setitem(_resnet.DEPTHS, "resnet18", (block, (1, 1, 0, 0)))
    draw(tmp_path / "images", classes=4, per_class=4)
    chosen = {"margin": 0.2, "lr": 0.001, "images_per_class": 2, "l2norm": True}
    assert chosen.keys() == SWEEP["parameters"].keys()
    small = ["--dataroot=images", "--arch=resnet18", "--weights=none"]
    small += ["--image_size=16", "--embedding_dim=8", "--batch_size=4", "--maxiter=2"]
    assert jml(["train", *flags_of(chosen), *small, "--cuda=false"]) == 0
    assert "2 steps" in capsys.readouterr().out
    (written,) = tmp_path.glob("runs/*/wandb/offline-run-*/*.wandb")
    assert b"test/recall@1" in written.read_bytes()


def test_the_list_names_every_example():
    listed = re.findall(
        r"^\| \[(.+?)\]\(\1\)", (FOLDER / "README.md").read_text(), re.M
    )
    others = {"README.md", "__pycache__"}
    assert sorted(listed) == sorted({p.name for p in FOLDER.iterdir()} - others)
    for path in FOLDER.glob("*.py"):
        assert len(path.read_text().splitlines()) < 80
