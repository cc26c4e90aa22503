"""Speed and memory of all that ``jml embed`` does, from the listing to the whole file.

    python benchmarks/embed_files.py                # ResNet-50 at 224 pixels
    python benchmarks/embed_files.py --arch resnet18 --image_size 28 --pixels 32 32 \
        --count 8192                                # the network of drawn characters
    python benchmarks/embed_files.py memory         # peak of 100,000 small JPEGs

The network alone embeds the same batches, decoded and on the device already. Both run
in turns; a turn's ratio is network / command. Seconds of the processor are all
threads'. The peak is that of the whole process of ``jml embed``, JAX included.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from arguments import positive
from embedding import network_alone, seconds_of, write_photographs, write_run

import jml
from jml.app._use._embed_in_parts import embed_in_parts
from jml.app._use._what_to_embed import what_to_embed
from jml.data import read_image
from jml.inference import EmbeddingParts

FILES = 100_000
DISTINCT = 1000  # JPEGs, which are copied


def embed_folder(model: jml.inference.TrainedModel, run: Path, place: Path) -> None:
    """What the command does once the network is loaded."""
    wanted = what_to_embed(run, place / "pictures", None)
    out = place / "x.parquet"
    parts = EmbeddingParts(out, wanted.names, wanted.labels, model.model)
    missing = parts.begin(overwrite=True)
    embed_in_parts(model, wanted, parts, missing, progress=lambda steps, _: steps)
    parts.unreadable()
    parts.finish()


def measure_speed(options: argparse.Namespace, place: Path) -> None:
    """Prints the medians of the turns."""
    run = write_run(place / "run", options.arch, options.image_size)
    (place / "pictures").mkdir()
    paths = write_photographs(place / "pictures", options.count, *options.pixels)
    model = jml.load(run)
    squares = np.stack([read_image(p, image_size=model.side) for p in paths])
    size, alone = network_alone(model, squares, run)
    works = {"network": alone, "command": lambda: embed_folder(model, run, place)}
    for work in works.values():
        work()
    turns = [
        {name: seconds_of(work) for name, work in works.items()}
        for _ in range(options.turns)
    ]
    width, height = options.pixels
    print(
        f"{options.arch} at {options.image_size} pixels, {options.count:,} JPEGs of"
        f" {width} x {height} pixels, batches of {size}"
    )
    for i, what in enumerate(("clock", "processor")):
        for name in works:
            seconds = statistics.median(turn[name][i] for turn in turns)
            print(f"{name:8} {1000 * seconds / options.count:8.3f} ms an image, {what}")
        shares = sorted(turn["network"][i] / turn["command"][i] for turn in turns)
        print(
            f"share by the {what}: {statistics.median(shares):.1%}"
            f" ({shares[0]:.1%} to {shares[-1]:.1%})"
        )


def measure_memory(place: Path) -> None:
    """Prints the peak of a process that embeds 100,000 JPEGs of 32 x 32 pixels."""
    write_run(place / "run", "resnet18", 28)
    (place / "first").mkdir()
    first = write_photographs(place / "first", DISTINCT, 32, 32)
    jpegs = [path.read_bytes() for path in first]
    for number in range(FILES):
        folder = place / "pictures" / f"{number % 100:02}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:06}.jpg").write_bytes(jpegs[number % DISTINCT])
    words = [sys.executable, "-m", "jml", "embed", "run", "pictures"]
    root = str(Path(__file__).parents[1])
    process = subprocess.Popen(
        [*words, "--out=x.parquet"], cwd=place, env={**os.environ, "PYTHONPATH": root}
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("jml embed failed")
    print(
        f"{FILES:,} JPEGs: peak {used.ru_maxrss / 2**20:.2f} GiB,"
        f" {used.ru_utime + used.ru_stime:.0f} s of the processor"
    )


def main() -> None:
    """Measures one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("speed", "memory"), default="speed")
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--image_size", type=positive, default=224)
    parser.add_argument("--pixels", type=positive, nargs=2, default=(500, 375))
    parser.add_argument("--count", type=positive, default=64)
    parser.add_argument("--turns", type=positive, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if options.what == "speed":
            measure_speed(options, Path(place))
        else:
            measure_memory(Path(place))


if __name__ == "__main__":
    main()
