"""Seconds from the command to the first training step, and to the end of the run.

    python benchmarks/first_minutes.py                          # glyphs, two steps
    python benchmarks/first_minutes.py --before COMMIT --turns 3
    python benchmarks/first_minutes.py --steps 0                # the whole default run
    python benchmarks/first_minutes.py --what photos --steps 90 # a GPU: ResNet-50
    python benchmarks/first_minutes.py --what metrics           # 60,502 embeddings

A turn is a run with an empty cache folder (cold), one more with what that has left
there (warm), and before them one of another commit, if one is given. "XLA" is the time
in which XLA compiles, or reads a program that is kept, summed over threads; "programs"
is how many. The numbers that the runs have measured must be the same, unless a GPU adds
in another order.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from compile_events import listen
from tables import padded

ROOT = Path(__file__).parents[1]
PHOTOS, CLASSES, SIZE = 4000, 200, (500, 375)
HEAD = ("run", "first step, s", "in all, s", "XLA, s", "programs", "images/s")
WIDTHS = (6, 13, 9, 6, 8, 8)
FLAGS = {
    "glyphs": ["--loss", "contrastive"],
    "photos": [
        *("--dataset", "folder", "--weights", "none", "--arch", "resnet50"),
        *("--image_size", "224", "--batch_size", "128", "--precision", "bfloat16"),
        *("--loss", "contrastive", "--nworkers", "16"),
    ],
}


def make_photos(folder: Path) -> None:
    """JPEGs of smooth noise, as many a class as another."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for number in range(PHOTOS):
        place = folder / f"class{number % CLASSES:03}"
        place.mkdir(exist_ok=True)
        small = rng.integers(0, 256, (12, 16, 3), np.uint8)
        picture = Image.fromarray(small).resize(SIZE, Image.Resampling.BICUBIC)
        picture.save(place / f"{number:05}.jpg")


def measure_here(what: str, began: float, words: list[str]) -> dict[str, Any]:
    """Does in this process what is measured, and returns what was seen."""
    seen: dict[str, Any] = {"xla": 0.0, "programs": 0, "first": None, "speed": None}

    def add(name: str, seconds: float) -> None:
        seen["xla"] += seconds
        seen["programs"] += 1

    listen(add)
    if what == "metrics":
        seen["numbers"] = measure_metrics()
        seen["first"] = time.time() - began
        return seen
    from jml.app._logging import Journal
    from jml.app._train_command import main

    log, end = Journal.step, Journal.print_summary

    def step(self: Any, record: Any) -> None:
        seen["first"] = seen["first"] or time.time() - began
        log(self, record)

    def print_summary(self: Any, seconds: float) -> None:
        seen["speed"] = self.images_per_second
        seen["numbers"] = {k: list(v.values()) for k, v in self.recalls.items()}
        end(self, seconds)

    Journal.step, Journal.print_summary = step, print_summary
    seen["code"] = main(words, program="train_jax.py")
    return seen


def measure_metrics(items: int = 60_502, dim: int = 512) -> dict[str, float]:
    """The retrieval metrics of as many embeddings as In-shop has images and more."""
    import numpy as np

    from jml.evaluation import evaluate

    try:
        from jml.app._compile_cache import keep_programs

        keep_programs()
    except ImportError:  # an earlier commit
        pass
    rng = np.random.default_rng(0)
    labels = np.arange(items) // 6
    centres = rng.standard_normal((labels.max() + 1, dim), np.float32)
    embeddings = centres[labels] + rng.standard_normal((items, dim), np.float32)
    return evaluate(embeddings, labels, clusterings=0, resamples=0).metrics


def measure(args: Any, tree: Path, cache: Path, photos: Path) -> dict[str, Any]:
    """Runs this script in a process of its own, with the JML of `tree`."""
    words = list(FLAGS.get(args.what, []))
    if args.steps:
        words += ["--maxiter", str(args.steps)]
    if args.what == "photos":
        words += ["--dataroot", str(photos)]
    with tempfile.TemporaryDirectory() as runs:
        out = Path(runs, "seen.json")
        words += ["--checkpoints_path", runs]
        own = [sys.executable, __file__, "--here", args.what, str(time.time()), out]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        environment["XDG_CACHE_HOME"] = str(cache)
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        began = time.time()
        done = subprocess.run(
            [*map(str, own), *words], env=environment, capture_output=True, text=True
        )
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        return {**json.loads(out.read_text()), "all": time.time() - began}


def line_of(name: str, seen: dict[str, Any]) -> str:
    """A line of the table."""
    speed = seen["speed"]
    cells = [name, *(f"{seen[key]:.1f}" for key in ("first", "all", "xla"))]
    cells += [str(seen["programs"]), "" if speed is None else f"{speed:,.0f}"]
    return padded(cells, WIDTHS)


def main() -> None:
    from arguments import positive
    from two_commits import tree_of

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--what", choices=(*FLAGS, "metrics"), default="glyphs")
    parser.add_argument("--before", help="a commit to measure, too")
    parser.add_argument("--turns", type=positive, default=1)
    parser.add_argument("--steps", type=int, default=2, help="0: those of the default")
    args = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        photos = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if args.what == "photos":
            make_photos(photos)
        trees = {"before": tree_of(args.before, stack)} if args.before else {}
        trees |= {"cold": ROOT, "warm": ROOT}
        print(padded(HEAD, WIDTHS))
        print(padded(["---"] * len(WIDTHS), WIDTHS))
        for _ in range(args.turns):
            with tempfile.TemporaryDirectory() as caches:
                for name, tree in trees.items():
                    cache = Path(caches, "before" if name == "before" else "now")
                    seen = measure(args, tree, cache, photos)
                    print(line_of(name, seen), flush=True)
                    found.setdefault(name, []).append(seen)
    if args.turns > 1:
        print("medians")
        for name, runs in found.items():
            keys = ("first", "all", "xla", "programs")
            middle = {key: statistics.median(run[key] for run in runs) for key in keys}
            print(line_of(name, {**runs[0], **middle}))
    numbers = [run["numbers"] for runs in found.values() for run in runs]
    same = all(other == numbers[0] for other in numbers)
    print("the same numbers in all" if same else f"different numbers: {numbers}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        what, began, out, *words = sys.argv[2:]
        seen = measure_here(what, float(began), words)
        Path(out).write_text(json.dumps(seen))
        if "code" in seen:
            from jml.app._command import leave

            leave(seen["code"])  # as the command ends
    else:
        from arguments import run

        run(__file__, main)
