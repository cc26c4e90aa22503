"""The command in this process, and a small folder of images to run it on."""

import importlib.util
import threading
from pathlib import Path

import pytest

from jml.app._command import COMPILES
from jml.app._compile_ahead import Ahead
from tests.app.striped_images import draw
from tests.networks import short_resnet18

SCRIPT = Path(__file__).parents[2] / "train_jax.py"


@pytest.fixture(scope="session")
def script():
    return SCRIPT


@pytest.fixture(scope="session")
def main():
    spec = importlib.util.spec_from_file_location("train_jax", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope="module")
def short_network(quick_compilation):
    """Makes resnet18 a ResNet of two blocks, which compiles in a third of the time."""
    with short_resnet18(1, 1, 0, 0):
        yield


@pytest.fixture
def nothing_ahead(monkeypatch):
    """Commands that fail begin to compile nothing, which nobody would use."""
    monkeypatch.setattr(Ahead, "begin", lambda *_: None)


@pytest.fixture
def without_reports(monkeypatch):
    """Commands measure all they would, and write no page and no plots of it.

    For tests that look at something else: drawing takes as long as a short run.
    """
    monkeypatch.setattr("jml.app._report.write_report", lambda *_, **options: None)


@pytest.fixture(scope="module", autouse=True)
def finish_compiling():
    """What a command that failed had begun to compile does not go on below others."""
    yield
    for thread in threading.enumerate():
        if thread.name == COMPILES:
            thread.join()


@pytest.fixture(scope="session")
def write_images():
    return draw


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """24 classes, the first half for training; read only.

    Some names are not UTF-8, and two of the classes look alike.
    """
    root = tmp_path_factory.mktemp("images") / "b\udce9b\udce9"
    draw(root, classes=24, per_class=12)
    for number, byte in ((22, "\udce8"), (23, "\udce9")):
        (root / f"class{number}").rename(root / f"class2{byte}")
    (root / "class00" / "000.png").rename(root / "class00" / "000\udcff.png")
    return root
