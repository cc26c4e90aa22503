"""Measures the path of images from files to the training step.

python benchmarks/input_path.py            # all four, some minutes
python benchmarks/input_path.py decode     # one of resize, decode, feed, memory

resize  differences from torchvision's transforms with Pillow, on photographs
decode  images/s of decode + resize, beside torch's DataLoader, same cores and files
feed    images/s from the cache, beside a ResNet-50 training step, and how long it waits
memory  peak memory of training from 100,000 streamed files, above that from 160
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
from arguments import positive
from PIL import Image
from timing import PAUSE

from jml.data import decode, folder, pk_batch

SCRIPT = Path(__file__).parents[1] / "train_jax.py"
SIDE = 256
Batches = Callable[[int], tuple[np.ndarray, np.ndarray]]  # of a step


def photographs() -> list[Path]:
    """Photographs in JPEG that scikit-learn and matplotlib bring along."""
    import matplotlib
    import sklearn

    sample = Path(matplotlib.get_data_path(), "sample_data", "grace_hopper.jpg")
    images = Path(sklearn.__file__).parent / "datasets" / "images"
    return [images / "china.jpg", images / "flower.jpg", sample]


def measure_resize() -> None:
    """The evaluation's images before normalisation, in grey levels."""
    from torchvision import transforms

    from jml.data import center_crop_normalize
    from jml.data._augment import MEAN, STD
    from jml.data._decoding._image_file import fast_decoders, read_square
    from jml.data._sources._files import File

    reference = transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE)),
            transforms.CenterCrop(224),
            transforms.PILToTensor(),
        ]
    )
    for path in photographs():
        square = read_square(File(str(path)), SIDE)
        pixels = (
            np.asarray(center_crop_normalize(square[None], crop=224))[0] * STD + MEAN
        )
        with Image.open(path) as image:
            expected = reference(image.convert("RGB")).permute(1, 2, 0).numpy()
        difference = np.abs(pixels.round() - expected)
        print(
            f"resize, fast decoders {fast_decoders()}: {path.name:16} largest"
            f" {difference.max():.0f}, mean {difference.mean():.4f} grey levels"
        )


def write_images(root: Path, classes: int, images: int, size: tuple[int, int]):
    """JPEGs cut from photographs, a class from a photograph's corner."""
    rng = np.random.default_rng(0)
    sources = [Image.open(path).convert("RGB") for path in photographs()]
    for c in range(classes):
        place = root / f"{c:05}"
        place.mkdir(parents=True)
        for i in range(images):
            source = sources[rng.integers(len(sources))]
            width, height = source.size
            w = int(width * rng.uniform(0.6, 0.9))
            h = int(height * rng.uniform(0.6, 0.9))
            x, y = rng.integers(width - w), rng.integers(height - h)
            cut = source.resize(size, box=(x, y, x + w, y + h))
            cut.save(place / f"{i:04}.jpg", quality=92)


def loader_of(root: Path, workers: int) -> Iterable:
    """What people use: torch's DataLoader of torchvision's ImageFolder."""
    import torch
    from torchvision import datasets, transforms

    transform = transforms.Compose(
        [transforms.Resize((SIDE, SIDE)), transforms.PILToTensor()]
    )
    return torch.utils.data.DataLoader(
        datasets.ImageFolder(root, transform),
        batch_size=64,
        num_workers=workers,
        persistent_workers=True,
    )


def measure_decode(root: Path, turns: int = 3) -> None:
    """Every file once per turn, in turns."""
    workers = len(os.sched_getaffinity(0))
    loader, listing = loader_of(root, workers), folder(root)
    count = len(listing.images)

    def decode_rate(cache):
        with tempfile.TemporaryDirectory() as place:
            options = {"cache": cache, "cache_folder": place, "workers": workers}
            start = time.perf_counter()
            decode(listing, image_size=SIDE, **options)
            return count / (time.perf_counter() - start)

    def loader_rate():
        start = time.perf_counter()
        for _ in loader:
            pass
        return count / (time.perf_counter() - start)

    loader_rate()  # starts the workers
    rates = {"DataLoader": [], "host": [], "disk": []}
    measures = {"DataLoader": loader_rate} | {
        cache: partial(decode_rate, cache) for cache in ("host", "disk")
    }
    for _ in range(turns):
        for name, measure in measures.items():
            time.sleep(PAUSE)
            rates[name].append(measure())
    peer, host, disk = map(statistics.median, rates.values())
    print(
        f"decode, {workers} workers, {count} JPEGs of 500 x 375 to {SIDE} x {SIDE}:"
        f" DataLoader {peer:.0f} images/s, to memory {host:.0f} ({host / peer:.2f}"
        f" times), to disk {disk:.0f} ({disk / peer:.2f} times)"
    )


def feed_rate(batch: Batches, batch_size: int) -> float:
    """Images a second of the batches alone."""
    from jml.training import prefetch

    start = time.perf_counter()
    for _ in prefetch(batch, range(100)):
        pass
    return 100 * batch_size / (time.perf_counter() - start)


def feed_training(training, batch: Batches, steps: int) -> tuple[list, list]:
    """Seconds of each step that takes a batch, and of its wait for the batch."""
    import jax

    from jml.training import prefetch

    state, waited, total = training.state, [], []
    batches = prefetch(batch, range(steps + 1))
    for _ in range(steps + 1):
        start = time.perf_counter()
        inputs = next(batches)
        waited.append(time.perf_counter() - start)
        state, loss = training.step(state, *inputs)
        jax.block_until_ready(loss)
        total.append(time.perf_counter() - start)
    return total[1:], waited[1:]  # the first one compiles


def measure_feed(root: Path, batch_size: int = 16, steps: int = 6) -> None:
    """The batches alone, then a training step that takes them from ``prefetch``."""
    from jml.app._build import build
    from jml.app._config import Config
    from jml.training import keep_freed_memory

    keep_freed_memory()
    with tempfile.TemporaryDirectory() as place:
        data = decode(folder(root), image_size=SIDE, cache="disk", cache_folder=place)
        labels = data.train.labels
        options = {"seed": 0, "batch_size": batch_size, "images_per_class": 4}
        indices = partial(pk_batch, labels, **options)

        def batch(step):
            chosen = indices(step=step)
            return data.train.images[chosen], labels[chosen]

        alone = feed_rate(batch, batch_size)
        config = Config(
            dataroot=str(root), weights="none", batch_size=batch_size, maxiter=steps
        )
        training = build(config, num_classes=len(np.unique(labels)))
        total, waited = feed_training(training, batch, steps)
    step = batch_size / statistics.median(total)
    print(
        f"feed, batches of {batch_size}: {alone:.0f} images/s from the cache, a"
        f" ResNet-50 step at 224 px takes {step:.1f} ({alone / step:.0f} times); it"
        f" waits {100 * sum(waited) / sum(total):.3f} % of its time"
    )


def peak_memory(root: Path, place: str, steps: int = 10) -> int:
    """Peak bytes of a run of the command that streams, without a cache."""
    flags = [f"--dataroot={root}", "--cache=none", "--image_size=32", "--weights=none"]
    flags += [f"--maxiter={steps}", "--arch=resnet18", f"--checkpoints_path={place}"]
    code = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, str(SCRIPT), *flags]
    output = subprocess.check_output(command, text=True)
    return 1024 * int(output.splitlines()[-1])


def measure_memory(classes: int = 5000, images: int = 20) -> None:
    """Small files; what counts is how many."""
    with tempfile.TemporaryDirectory() as place:
        many, few = Path(place, "many"), Path(place, "few")
        write_images(many, classes, images, (64, 48))
        write_images(few, 40, 4, (64, 48))
        most, least = (peak_memory(root, place) for root in (many, few))
    print(
        f"memory: streaming {classes * images:,} files peaks at {most / 2**30:.2f} GiB,"
        f" {(most - least) / 2**30:.2f} more than 160 files"
    )


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = ("resize", "decode", "feed", "memory")
    parser.add_argument("what", nargs="*", default=names, choices=[*names, []])
    parser.add_argument(
        "--files", type=positive, default=2000, help="for decode and feed"
    )
    options = parser.parse_args()
    if "resize" in options.what:
        measure_resize()
    if {"decode", "feed"} & set(options.what):
        with tempfile.TemporaryDirectory() as place:
            write_images(Path(place), options.files // 20, 20, (500, 375))
            if "decode" in options.what:
                measure_decode(Path(place))
            if "feed" in options.what:
                measure_feed(Path(place))
    if "memory" in options.what:
        measure_memory()


if __name__ == "__main__":
    main()
