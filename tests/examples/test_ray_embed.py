"""The example on Ray: two workers write what `jml embed` writes, bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import jml
from jml.models import create, save_weights

pytest.importorskip("pyarrow")
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork.*:")
def test_two_workers_equal_the_network_here(tmp_path):
    pytest.importorskip("ray", reason="Ray is not installed (the extra ray)")
    run, pictures = tmp_path / "run", tmp_path / "pictures"
    for folder in (run, pictures / "a", pictures / "b"):
        folder.mkdir(parents=True)
    network = create("resnet18", embedding_dim=4)
    save_weights(run / "weights.safetensors", network.params, network.batch_stats)
    settings = {"arch": "resnet18", "embedding_dim": 4, "l2norm": True}
    (run / "config.json").write_text(json.dumps({**settings, "image_size": 16}))
    random = np.random.default_rng(0)
    for number in range(9):
        pixels = random.integers(0, 255, (18, 18, 3), np.uint8)
        Image.fromarray(pixels).save(pictures / "ab"[number % 2] / f"{number}.png")
    (pictures / "a" / "bad.png").write_bytes(b"no image")
    words = ["examples/ray_embed.py", run, pictures, tmp_path / "x.parquet"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    for _ in range(2):  # the second time all parts are there, and Ray is not started
        ended = subprocess.run(
            [sys.executable, *words, "--part_size=3"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert ended.returncode == 0, ended.stderr[-2000:]
        assert ended.stdout.startswith("9 embeddings in ")
    assert "Started a local Ray instance" not in ended.stderr
    read = jml.inference.read_embeddings(tmp_path / "x.parquet")
    assert [Path(path).name for path in read.paths] == [
        f"{number}.png" for number in (0, 2, 4, 6, 8, 1, 3, 5, 7)
    ]
    assert read.labels == 5 * ["a"] + 4 * ["b"]
    np.testing.assert_array_equal(read.vectors, jml.load(run).embed(read.paths))
    files = sorted(path.name for path in (tmp_path / "x.parquet").iterdir())
    assert len(files) == 4 and all(name.endswith(".parquet") for name in files)
