"""A run with a small network, and images of several kinds and sizes."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from jml.app._config import Config
from jml.models import create, save_weights
from tests.networks import short_resnet18

CONFIG = Config(arch="resnet18", weights="none", image_size=16, embedding_dim=8)


def small_networks():
    """Makes resnet18 a ResNet of one block, which is compiled quickly."""
    return short_resnet18(1, 0, 0, 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run."""
    with small_networks():
        folder = tmp_path_factory.mktemp("run")
        (folder / "config.json").write_text(json.dumps(asdict(CONFIG)))
        for name, seed in (("weights", 1), ("best", 2)):
            model = create("resnet18", embedding_dim=8, l2norm=True, seed=seed)
            file = folder / f"{name}.safetensors"
            save_weights(file, model.params, model.batch_stats)
        yield folder


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """70 image files: more than a batch of a CPU; one name is not UTF-8."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    names = [folder / f"{i}.png" for i in range(69)] + [folder / "n\udce9t.png"]
    for name in names:
        height, width = rng.integers(10, 60, 2)
        pixels = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(pixels).save(name)
    return names
