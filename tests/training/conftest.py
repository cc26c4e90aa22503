"""The command in this process, and a small folder of pictures to run it on."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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


def draw(root, *, classes, images, side=20, seed=0):
    """Classes that differ in a coarse pattern, under changing colours and contrast."""
    rng = np.random.default_rng(seed)
    for c in range(classes):
        pattern = np.kron(rng.normal(size=(4, 4)), np.ones((side // 4, side // 4)))
        (root / f"class{c:02}").mkdir(parents=True)
        for i in range(images):
            tint = rng.uniform(0, 160, size=3)
            contrast = rng.uniform(15, 40)
            picture = tint + contrast * pattern[:, :, None]
            picture += rng.normal(scale=6, size=(side, side, 3))
            picture = np.clip(picture, 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(root / f"class{c:02}" / f"{i:03}.png")


@pytest.fixture(scope="session")
def write_pictures():
    return draw


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """12 classes, the first half for training; read only."""
    root = tmp_path_factory.mktemp("pictures")
    draw(root, classes=12, images=12)
    return root
