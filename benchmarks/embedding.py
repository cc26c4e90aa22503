"""Speed of `TrainedModel.embed` on files, as a share of the network's own speed.

    python benchmarks/embedding.py                  # ResNet-50 at 224 pixels
    python benchmarks/embedding.py --arch resnet18 --image_size 28 --pixels 32 32 \
        --count 4096                                # the network of drawn characters

JPEGs of random photographs, smooth with some noise, are written first. The network
alone embeds the same batches, decoded and on the device already. Both run in turns; a
turn's ratio is network / files. Seconds of the processor are all threads'.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from PIL import Image

import jml
from jml.data import center_crop_normalize, read_image
from jml.models import create, embed, save_weights


def write_photographs(folder: Path, count: int, width: int, height: int) -> list[Path]:
    """JPEGs of as many bytes as those of a camera: about 0.2 bytes a pixel."""
    rng, paths = np.random.default_rng(0), []
    for i in range(count):
        coarse = rng.integers(0, 256, (height // 16 + 2, width // 16 + 2, 3), np.uint8)
        image = Image.fromarray(coarse).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        noisy = np.asarray(image) + rng.normal(0, 6, (height, width, 3))
        paths.append(folder / f"{i:06}.jpg")
        pixels = np.clip(noisy, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(paths[-1], quality=85)
    return paths


def write_run(folder: Path, arch: str, image_size: int) -> Path:
    """A run's folder, of a network with random weights."""
    folder.mkdir()
    settings = {"embedding_dim": 128, "l2norm": True, "image_size": image_size}
    (folder / "config.json").write_text(json.dumps({"arch": arch, **settings}))
    network = create(arch, embedding_dim=128, l2norm=True)
    save_weights(folder / "weights.safetensors", network.params, network.batch_stats)
    return folder


def network_alone(model: jml.inference.TrainedModel, squares: np.ndarray, run: Path):
    """A function that embeds squares in the model's batches, and nothing else."""
    size = len(next(model.embed_batches(squares))[0])
    weights = str(run / "weights.safetensors")
    network = create(
        model.model["arch"], embedding_dim=128, l2norm=True, weights=weights
    )
    batches = [
        jax.device_put(squares[i : i + size])
        for i in range(0, len(squares) - size + 1, size)
    ]

    @jax.jit
    def embed_batch(params, batch_stats, images):
        prepared = center_crop_normalize(images, crop=model.image_size)
        return embed(network.graphdef, params, batch_stats, prepared, train=False)[0]

    def run_all():
        for batch in batches:
            embed_batch(network.params, network.batch_stats, batch).block_until_ready()

    return size, run_all


def seconds_of(function) -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    """Measures, and prints the medians of the turns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--image_size", type=int, default=224)
    parser.add_argument("--pixels", type=int, nargs=2, default=(500, 375))
    parser.add_argument("--count", type=int, default=64, help="files, in whole batches")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = write_run(Path(place, "run"), options.arch, options.image_size)
        paths = write_photographs(Path(place), options.count, *options.pixels)
        kilobytes = statistics.mean(path.stat().st_size for path in paths) / 1000
        model = jml.load(run)
        squares = np.stack([read_image(p, image_size=model.side) for p in paths])
        size, alone = network_alone(model, squares, run)
        functions = {
            "network": alone,
            "files": lambda: model.embed(paths),
            "reading": lambda: [read_image(p, image_size=model.side) for p in paths],
        }
        for function in functions.values():
            function()
        turns = [
            {name: seconds_of(function) for name, function in functions.items()}
            for _ in range(options.turns)
        ]
    width, height = options.pixels
    print(
        f"{options.arch} at {options.image_size} pixels on {jax.devices()[0].platform},"
        f" {options.count} JPEGs of {width} x {height} pixels and {kilobytes:.1f} kB,"
        f" batches of {size}"
    )
    for name in functions:
        clock, processor = (
            1000 * statistics.median(turn[name][i] for turn in turns) / options.count
            for i in (0, 1)
        )
        print(f"{name:8} {clock:8.3f} ms an image, {processor:8.3f} of the processor")
    for i, what in enumerate(("clock", "processor")):
        shares = sorted(turn["network"][i] / turn["files"][i] for turn in turns)
        print(
            f"share by the {what}: {statistics.median(shares):.1%}"
            f" ({shares[0]:.1%} to {shares[-1]:.1%})"
        )


if __name__ == "__main__":
    main()
