"""Trains on Fashion-MNIST, 70,000 real images, through ``--dataset csv``.

python benchmarks/fashion_mnist.py FOLDER [flags of train_jax.py]

FOLDER holds the four files of the data set in IDX format, as Debian's package
dataset-fashion-mnist installs them. Two runs: with new images of the same ten kinds
of clothes, 10,000 searched for among 10,000 others; and with new kinds, five to train
on and five to test on, which are too few to learn what makes a kind.
"""

import csv
import gzip
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

SCRIPT = Path(__file__).parents[1] / "train_jax.py"
FLAGS = ["--arch=resnet18", "--weights=none", "--image_size=28"]
FLAGS += ["--images_per_class=10", "--maxiter=1500", "--decay_iter_step=1000"]
FLAGS += ["--eval_interval=500"]


def read_idx(path: Path, header: int) -> np.ndarray:
    """The bytes after the header of an IDX file, packed or not."""
    packed = path.with_name(path.name + ".gz")
    data = (
        gzip.decompress(packed.read_bytes()) if packed.exists() else path.read_bytes()
    )
    return np.frombuffer(data, np.uint8, offset=header)


def new_images(part: str, row: int, label: int) -> str:
    """Trains on 50,000 images; the last 10,000 of that file are the gallery."""
    if part == "t10k":
        return "query"
    return "train" if row < 50_000 else "gallery"


def new_kinds(part: str, row: int, label: int) -> str:
    """Trains on the kinds 0 to 4."""
    return "train" if label < 5 else "test"


def write_table(source: Path, root: Path, split_of: Callable) -> Path:
    """One PNG per image, and the table that lists them."""
    (root / "images").mkdir(exist_ok=True)
    with (root / f"{split_of.__name__}.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split"])
        for part in ("train", "t10k"):
            images = read_idx(source / f"{part}-images-idx3-ubyte", 16)
            labels = read_idx(source / f"{part}-labels-idx1-ubyte", 8)
            images = images.reshape(-1, 28, 28)
            for i, (image, label) in enumerate(zip(images, labels, strict=True)):
                relative = f"images/{part}-{i:05}.png"
                Image.fromarray(image).save(root / relative, compress_level=1)
                table.writerow([relative, label, split_of(part, i, label)])
    return Path(file.name)


def main() -> None:
    """Writes the images, trains, and leaves the table of recalls on the screen."""
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as place:
        for split_of, batch_size in ((new_images, 100), (new_kinds, 50)):
            listed = write_table(Path(sys.argv[1]), Path(place), split_of)
            where = [f"--dataroot={listed}", f"--checkpoints_path={place}"]
            where.append(f"--batch_size={batch_size}")
            command = [sys.executable, SCRIPT, "--dataset=csv", "--cache=host", *where]
            subprocess.run([*command, *FLAGS, *sys.argv[2:]], check=True)


if __name__ == "__main__":
    main()
