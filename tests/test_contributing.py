"""The worked examples of CONTRIBUTING.md do what the page says."""

import re
import shutil
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from PIL import Image

from jml import data, losses, models
from jml._loss_specs import SPECS
from jml.models import _embedding
from tests import layers
from tests.losses.definitions import reduce, relate
from tests.parity import assert_close

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
LOSS, ROW, DEFINITION, NETWORK, DATA_SET = BLOCKS


@pytest.fixture(scope="module")
def page():
    names = {"__name__": "contributing"}
    for block in BLOCKS:
        exec(compile(block, str(PAGE), "exec"), names)
    return names


def define(page, x, labels, radius, batch):
    """The loss of the page's definition; what follows the batch is a memory."""
    memory = labels[batch:], np.ones(len(x) - batch, bool)
    relations, y = relate(labels[:batch], memory=memory), torch.tensor(x)
    terms = page["radius_definition"](y[:batch], y, relations, radius)
    return float(reduce(terms, "mean", batch))


def test_the_loss_of_contributing_equals_its_definition(page, x64):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(12, 3)), np.arange(12) % 4
    for block_size in (None, 5):
        value = page["radius_loss"](x, labels, radius=4.0, block_size=block_size)
        expected = define(page, x, labels, 4.0, batch=12)
        assert_close(value, expected, 1e-14, label=f"blocks of {block_size}")
    memory = losses.update_memory(
        losses.init_memory(5, 3, dtype=jnp.float64), x[7:], labels[7:]
    )
    value = page["radius_loss"](x[:7], labels[:7], radius=4.0, memory=memory)
    expected = define(page, x, labels, 4.0, batch=7)
    assert_close(value, expected, 1e-14, label="memory")


def test_the_examples_of_contributing_keep_to_the_layers(tmp_path):
    shutil.copytree(PAGE.parent / "jml", tmp_path / "jml")
    for name, block, export in (
        ("losses/_radius.py", LOSS, "radius_loss"),
        ("models/_tinynet.py", NETWORK, "TinyNet"),
        ("data/_sources/_toys.py", DATA_SET, "toys"),
    ):
        file = tmp_path / "jml" / name
        file.write_text(block)
        with file.with_name("__init__.py").open("a") as package:
            package.write(f"from .{file.stem} import {export} as {export}\n")
    edges = layers.imports(layers.modules(tmp_path))
    assert any(edge.imported == "jml.losses._radius" for edge in edges)
    assert layers.upward(edges) == layers.circles(edges) == []


def test_the_row_of_contributing_makes_objective_and_diagnostics(page, monkeypatch):
    monkeypatch.setitem(SPECS, "radius", page["ROW"]["radius"])
    monkeypatch.setattr(losses, "radius_loss", page["radius_loss"], raising=False)
    x, labels = jnp.array([[0.0], [0.5], [0.6]]), jnp.array([0, 0, 1])
    objective = losses.make_objective("radius")
    expected = define(page, np.array(x), np.array(labels), 0.1, batch=3)
    assert_close(objective(x, labels, None, {"radius": 0.1}), expected, 1e-5)
    measured = losses.make_diagnostics("radius")(x, labels, None, {"radius": 0.1})
    assert measured.keys() == {"active", "positive_distance", "negative_distance"}


def test_the_network_of_contributing_embeds_and_trains(page, monkeypatch):
    monkeypatch.setitem(_embedding.BACKBONES, "tinynet", page["TinyNet"])
    model = models.create("tinynet", embedding_dim=4)
    images = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)
    embeddings, same = models.embed(*model, images, train=False)
    assert embeddings.shape == (5, 4)
    _, moved = models.embed(*model, images, train=True)
    mean = ("backbone", "bn1", "running_mean")
    for statistics, changed in ((same, False), (moved, True)):
        leaf, start = statistics, model.batch_stats
        for name in mean:
            leaf, start = leaf[name], start[name]
        assert (np.asarray(leaf) != np.asarray(start)).any() == changed


def test_the_data_set_of_contributing_is_decoded(page, tmp_path):
    (tmp_path / "images").mkdir()
    lines = []
    for number in range(8):
        name = f"images/{number}.png"
        Image.new("RGB", (9, 9), (30 * number, 0, 0)).save(tmp_path / name)
        lines.append(f"{name} toy{number // 2} {'train' if number < 4 else 'test'}\n")
    (tmp_path / "list.txt").write_text("".join(lines))
    listing = page["toys"](tmp_path)
    assert listing.class_names == ("toy0", "toy1", "toy2", "toy3")
    assert listing.train.tolist() == [0, 1, 2, 3] and listing.gallery is None
    decoded = data.decode(listing, image_size=9)
    assert decoded.query.images[:].shape == (4, 9, 9, 3)
