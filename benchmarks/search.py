"""The nearest items of some queries in a large gallery, beside faiss's exact index.

python benchmarks/search.py                       # 1,000 queries in 1,000,000 x 128
python benchmarks/search.py --items 100000 --dim 64 --turns 1

Each run is a process of its own, in turns; it searches twice, and the second time is
taken. Memory is the peak above what the process had with the vectors, and for faiss
with its index, which holds a copy of them. The vectors are normal numbers.
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

Search = Callable[[], np.ndarray]  # it gives the items found


def peak() -> float:
    """The most memory that the process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def jml_search(gallery: np.ndarray, queries: np.ndarray, k: int) -> Search:
    """A search by JML."""
    import jax

    from jml.evaluation import nearest_neighbours

    jax.numpy.zeros(()).block_until_ready()
    return lambda: nearest_neighbours(queries, gallery, k=k).indices


def faiss_search(gallery: np.ndarray, queries: np.ndarray, k: int) -> Search:
    """A search by faiss's `IndexFlatL2`."""
    import faiss

    index = faiss.IndexFlatL2(gallery.shape[1])
    index.add(gallery)
    return lambda: index.search(queries, k)[1]


SEARCHES = {"jml": jml_search, "faiss": faiss_search}


def child(library: str, folder: Path, k: int) -> dict:
    """Loads the vectors, searches, and says what it took."""
    gallery, queries = (np.load(folder / f"{n}.npy") for n in ("gallery", "queries"))
    search = SEARCHES[library](gallery, queries, k)
    before, found = peak(), np.empty(0)
    wall = processor = 0.0
    for _ in range(2):
        start = time.perf_counter(), time.process_time()
        found = search()
        wall, processor = time.perf_counter() - start[0], time.process_time() - start[1]
    np.save(folder / f"{library}.npy", found)
    return {"wall": wall, "processor": processor, "memory": peak() - before}


def measure(options: argparse.Namespace, libraries: list[str]) -> dict:
    """What the runs of each library took, and the share of equal items."""
    rng = np.random.default_rng(0)
    runs: dict = {name: [] for name in libraries}
    with tempfile.TemporaryDirectory() as folder:
        for name, size in ("gallery", options.items), ("queries", options.queries):
            rows = rng.standard_normal((size, options.dim), dtype=np.float32)
            np.save(Path(folder, f"{name}.npy"), rows)
        for library in libraries * options.turns:
            command = [sys.executable, __file__, "--child", library, folder]
            command += ["--k", str(options.k)]
            output = subprocess.check_output(command, text=True)
            runs[library].append(json.loads(output.splitlines()[-1]))
        found = [np.load(Path(folder, f"{name}.npy")) for name in libraries]
    return {"runs": runs, "same": float(np.mean(found[0] == found[-1]))}


def main() -> None:
    parser = Parser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--items", type=positive, default=1_000_000, help="in the gallery (1,000,000)")
    add("--queries", type=positive, default=1000, help="to search for (1,000)")
    add("--dim", type=positive, default=128, help="numbers of a vector (128)")
    add("--k", type=positive, default=20, help="nearest items of a query (20)")
    add("--turns", type=positive, default=3, help="runs of each library (3)")
    add("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        library, folder = options.child
        print(json.dumps(child(library, Path(folder), options.k)))
        return
    libraries = ["jml", "faiss"] if find_spec("faiss") else ["jml"]
    measured = measure(options, libraries)
    print(
        f"{options.queries:,} queries in {options.items:,} x {options.dim},"
        f" {options.k} nearest; medians of {options.turns} runs:"
    )
    middle = {
        name: {what: float(np.median([r[what] for r in runs])) for what in runs[0]}
        for name, runs in measured["runs"].items()
    }
    for name, took in middle.items():
        memory = max(r["memory"] for r in measured["runs"][name])
        print(
            f"  {name:5} {took['wall']:6.2f} s, {took['processor']:6.2f} CPU-seconds,"
            f" {memory:,.0f} MiB above the vectors"
        )
    if len(middle) > 1:
        one, other = middle["jml"], middle["faiss"]
        print(
            f"  JML over faiss: {one['wall'] / other['wall']:.2f} of the seconds,"
            f" {one['processor'] / other['processor']:.2f} of the CPU-seconds;"
            f" {measured['same']:.2%} of the items are the same"
        )
    else:
        print("  faiss is left out, for it is not installed")


if __name__ == "__main__":
    run(__file__, main)
