"""Retrieval metrics at the size of Stanford Online Products; k-means; the report.

python benchmarks/retrieval.py                      # all of it, some minutes
python benchmarks/retrieval.py --items 6000 --dim 64 --parts ranking

Beside JML runs what people use instead: pytorch-metric-learning's AccuracyCalculator
with faiss-cpu (where both are installed), which looks at as many neighbours as the
largest class has items, and scikit-learn's KMeans. Each run of a ranking is a process
of its own, in turns; its memory is the peak above what the process had before,
embeddings included.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from arguments import positive, run

from jml.app._parser import Parser

TURNS = 3
Run = Callable[[], dict]  # it gives the metrics
SHARED = {  # JML's names for what both have
    "precision_at_1": "precision@1",
    "r_precision": "r_precision",
    "mean_average_precision_at_r": "map@r",
}


def make_items(items: int, classes: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors about class centres; classes of 2 to 12, as in the data set."""
    rng = np.random.default_rng(0)
    mean = items / classes
    sizes = 2 + rng.binomial(10, min(1, max(0, mean - 2) / 10), classes)
    labels = np.repeat(np.arange(classes), sizes)
    labels = rng.permutation(np.resize(labels, items))
    x = 0.5 * rng.normal(size=(classes, dim))[labels] + rng.normal(size=(items, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32), labels


def peak() -> float:
    """The most memory that the process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def jml_ranking(x: np.ndarray, labels: np.ndarray) -> tuple[Run, dict]:
    """A run of JML's ranking, and what is known of it beforehand."""
    import jax

    from jml.evaluation import evaluate
    from jml.training import keep_freed_memory

    keep_freed_memory()
    jax.numpy.zeros(()).block_until_ready()
    device = jax.devices()[0].device_kind

    def run() -> dict:
        return evaluate(x, labels, clusterings=0, resamples=0).metrics

    return run, {"products": products_alone(*x.shape), "device": device}


def peer_ranking(x: np.ndarray, labels: np.ndarray) -> tuple[Run, dict]:
    """The same of pytorch-metric-learning's."""
    import torch
    from pytorch_metric_learning.utils import accuracy_calculator

    names = (*SHARED, "mean_average_precision", "mean_reciprocal_rank")
    calculator = accuracy_calculator.AccuracyCalculator(
        include=names, k="max_bin_count", device=torch.device("cpu")
    )
    arguments = torch.from_numpy(x), torch.from_numpy(labels)

    def run() -> dict:
        accuracies = calculator.get_accuracy(*arguments)
        return {SHARED.get(name, name): value for name, value in accuracies.items()}

    return run, {"products": None, "device": "cpu"}


def child(library: str, folder: Path) -> dict:
    """Loads the embeddings, ranks, and says what it took."""
    x, labels = np.load(folder / "x.npy"), np.load(folder / "labels.npy")
    run, known = (jml_ranking if library == "jml" else peer_ranking)(x, labels)
    before, seconds = peak(), []
    for _ in range(2):
        start = time.perf_counter()
        metrics = run()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "memory": peak() - before, "metrics": metrics, **known}


def products_alone(size: int, dim: int) -> float:
    """Seconds that the matrix products of the tiles take, without anything else."""
    import jax

    from jml.distances import inner_products
    from jml.evaluation._ranking._layout import tile_rows

    tile = tile_rows(size)
    blocks = -(-size // tile)
    x = jax.random.normal(jax.random.key(0), (tile, dim))
    product = jax.jit(inner_products)
    product(x, x).block_until_ready()
    start = time.perf_counter()
    for _ in range(100):
        result = product(x, x)
    result.block_until_ready()
    seconds = (time.perf_counter() - start) / 100
    return seconds * blocks * (blocks + 1) / 2


def ranking(items: int, classes: int, dim: int) -> None:
    """Both libraries in turns; JML alone where the other is not installed."""
    x, labels = make_items(items, classes, dim)
    runs: dict[str, list[dict]] = {"jml": []}
    if find_spec("pytorch_metric_learning") and find_spec("faiss"):
        runs["pml"] = []
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "x.npy"), x)
        np.save(Path(folder, "labels.npy"), labels)
        for library in [*runs] * TURNS:
            command = [sys.executable, __file__, "--child", library, folder]
            output = subprocess.check_output(command, text=True)
            runs[library].append(json.loads(output.splitlines()[-1]))
    one = runs["jml"][0]
    print(f"{one['device']}: {items:,} x {dim}, {len(np.unique(labels)):,} classes")
    for name in SHARED.values():
        print(f"  {name:15} {one['metrics'][name]:.4f}")
        for other in runs.get("pml", ()):
            value = other["metrics"][name]
            assert abs(one["metrics"][name] - value) < 1e-5, (name, value)
    first, again = (
        {name: np.median([r["seconds"][i] for r in rs]) for name, rs in runs.items()}
        for i in (0, 1)
    )
    for name, label in (("jml", "JML"), ("pml", "PML with faiss")):
        if name not in runs:
            print(f"  {label:15} left out, for it is not installed")
            continue
        memory = max(run["memory"] for run in runs[name])
        print(
            f"  {label:15} first {first[name]:6.2f} s, again {again[name]:6.2f} s,"
            f" {memory:5.2f} GiB above the input"
        )
    alone = np.median([run["products"] for run in runs["jml"]])
    print(f"  JML's matrix products alone        {alone:6.2f} s")
    if "pml" in runs:
        print(
            f"  ratio           first {first['pml'] / first['jml']:6.2f},  "
            f" again {again['pml'] / again['jml']:6.2f}"
        )


def large_classes(items: int = 60_000, dim: int = 128, classes: int = 10) -> None:
    """All metrics of a few large classes, NMI and AMI included."""
    from jml.evaluation import evaluate

    rng = np.random.default_rng(0)
    labels = np.arange(items) % classes
    x = 0.3 * rng.normal(size=(classes, dim))[labels] + rng.normal(size=(items, dim))
    x = x.astype(np.float32)
    start, before = time.perf_counter(), time.process_time()
    metrics = evaluate(x, labels, resamples=0).metrics
    seconds = time.perf_counter() - start
    cpu = time.process_time() - before
    print(f"{items:,} x {dim} in {classes} classes, all metrics")
    print(f"  {seconds:.0f} s, {cpu:.0f} CPU-seconds, {peak():.2f} GiB in all")
    print(f"  recall@1 {metrics['recall@1']:.4f}, map {metrics['map']:.4f}")
    print(f"  nmi {metrics['nmi']:.4f}, ami {metrics['ami']:.4f}")


def clustering(items: int = 5924, dim: int = 128, classes: int = 100) -> None:
    """k-means beside scikit-learn's, at the size of CUB-200-2011's test classes."""
    from sklearn.cluster import KMeans

    from jml.evaluation import kmeans

    x, _ = make_items(items, classes, dim)
    seconds: dict[str, list] = {"JML": [], "scikit-learn": []}
    inertia: dict[str, list] = {"JML": [], "scikit-learn": []}
    for seed in range(10):
        for name in seconds:
            start = time.perf_counter()
            if name == "JML":
                inertia[name].append(kmeans(x, classes, seed=seed).inertia)
            else:
                fitted = KMeans(classes, random_state=seed, n_init=1).fit(x)
                inertia[name].append(fitted.inertia_)
            seconds[name].append(time.perf_counter() - start)
    print(f"k-means, {items:,} x {dim}, {classes} clusters, 10 seeds")
    for name, times in seconds.items():
        print(
            f"  {name:15} first {times[0]:5.2f} s, then {np.median(times[1:]):5.3f} s,"
            f" inertia {np.mean(inertia[name]):.1f}"
        )
    ratio = np.mean(inertia["JML"]) / np.mean(inertia["scikit-learn"])
    print(f"  inertia of JML over scikit-learn's {ratio:.4f}")


def report(items: int = 6000, classes: int = 100) -> None:
    """Writes a report on images of noise, which compress worst, and opens it."""
    from jml.evaluation import evaluate
    from jml.report import EmbeddedImages, write_report

    x, labels = make_items(items, classes, 128)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (items, 64, 64, 3), np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        evaluation = evaluate(x, labels)
        middle = time.perf_counter()
        subject = EmbeddedImages(x, labels, images)
        page = write_report(Path(folder), "", subject, None, evaluation, reproduce={})
        end = time.perf_counter()
        print(
            f"report of {items:,} images: evaluated in {middle - start:.1f} s,"
            f" written in {end - middle:.1f} s, {page.stat().st_size / 1e6:.1f} MB"
        )
        print(f"  open in Chromium after {opening(page):.2f} s")


def opening(page: Path) -> float:
    """Median seconds until the page shows its queries."""
    import shutil

    from playwright.sync_api import sync_playwright

    seconds = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for _ in range(5):
            tab = browser.new_page()
            start = time.perf_counter()
            tab.goto(page.as_uri())
            tab.wait_for_selector("#rows li")
            seconds.append(time.perf_counter() - start)
            tab.close()
        browser.close()
    return float(np.median(seconds))


def main() -> None:
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=positive, default=60_502)
    parser.add_argument("--classes", type=positive, default=11_316)
    parser.add_argument("--dim", type=positive, default=512)
    parts = ("ranking", "large", "clustering", "report")
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(child(options.child[0], Path(options.child[1]))))
        return
    if options.items < 2:
        parser.error("--items: there must be two at least")
    if "ranking" in options.parts:
        ranking(options.items, min(options.classes, options.items // 2), options.dim)
    if "large" in options.parts:
        large_classes()
    if "clustering" in options.parts:
        clustering()
    if "report" in options.parts:
        report()


if __name__ == "__main__":
    run(__file__, main)
