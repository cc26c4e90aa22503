"""What raw pixels retrieve on the test characters of glyphs, and how long it takes.

    python benchmarks/retrieval_baselines.py [--image_size 28] [--sheet sheet.png]

A network has to do better than this. The images are made a little larger than
--image_size and their middle is compared, as train_jax.py does. --sheet also saves a
sheet of images, one row per class, to look at.
"""

import argparse
import time

import numpy as np
from arguments import positive

from jml.data import Dataset, glyphs
from jml.evaluation import recall_at_k


def timed(function, *args, **options):
    start = time.perf_counter()
    return function(*args, **options), time.perf_counter() - start


def describe(data: Dataset) -> None:
    print(f"{'split':8}{'classes':>9}{'characters':>12}{'images':>10}")
    for name in ("train", "query"):
        labels = np.unique(getattr(data, name).labels)
        characters = sum(len(data.class_names[label]) for label in labels)
        images = len(getattr(data, name).labels)
        print(f"{name:8}{len(labels):9,}{characters:12,}{images:10,}")


def raw_pixels(data: Dataset, crop: int) -> np.ndarray:
    images = data.query.images[..., 0]  # grey: the other channels are the same
    corner = round((images.shape[1] - crop) / 2)
    middle = images[:, corner : corner + crop, corner : corner + crop]
    return middle.reshape(len(images), -1).astype(np.float32) / 255


def save_sheet(data: Dataset, path: str, rows: int = 20, columns: int = 12) -> None:
    from PIL import Image

    images, labels = data.query
    shown = np.random.default_rng(0).choice(np.unique(labels), rows, replace=False)
    lines = [np.concatenate(images[labels == k][:columns], axis=1) for k in shown]
    Image.fromarray(np.concatenate(lines)).save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image_size", type=positive, default=28)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", metavar="FILE")
    args = parser.parse_args()
    side = round(args.image_size * 8 / 7)
    data, seconds = timed(glyphs, image_size=side, seed=args.seed)
    describe(data)
    print(f"\nglyphs drawn at {side} x {side} in {seconds:.1f} s")
    if args.sheet:
        save_sheet(data, args.sheet)

    pixels = raw_pixels(data, args.image_size)
    recalls, seconds = timed(recall_at_k, pixels, data.query.labels)
    columns = "   ".join(f"R@{k} {100 * r:.1f} %" for k, r in recalls.items())
    print(f"raw pixels, {args.image_size} x {args.image_size}: {columns}")
    print(f"  {len(pixels):,} x {pixels.shape[1]:,} in {seconds:.1f} s")

    embeddings = np.random.default_rng(0).normal(size=(len(pixels), 128))
    _, seconds = timed(recall_at_k, embeddings.astype(np.float32), data.query.labels)
    print(f"  {len(pixels):,} x 128 (an embedding's size) in {seconds:.1f} s")


if __name__ == "__main__":
    main()
