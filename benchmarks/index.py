"""The indices of ``jml index``: time to build, recall, time of a query, size.

python benchmarks/index.py                    # 100,000 x 128, some minutes
python benchmarks/index.py --items 1000000    # on two cores, an hour

The vectors are unit vectors about class centres, fifty for each. A thousand of them are
searched for before they are added. Processor seconds do not show what else the machine
does. The exact answer is from `nearest_neighbours`.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from arguments import positive, run
from retrieval import make_items

from jml.app._parser import Parser
from jml.app._use._index import QUERIES, Index, K, measure
from jml.app._use._index_command import FACTORY


def main() -> None:
    """Prints a line for each index."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=positive, default=100_000)
    parser.add_argument("--dim", type=positive, default=128)
    parser.add_argument("--threads", type=positive, default=os.cpu_count())
    parser.add_argument(
        "--factories",
        nargs="+",
        default=[FACTORY, "IVF1024,Flat:nprobe=16", "IVF1024,PQ32:nprobe=16"],
        help="of faiss, each perhaps with :parameters",
    )
    options = parser.parse_args()
    x, _ = make_items(options.items, max(1, options.items // 50), options.dim)
    chosen = np.random.default_rng(0).permutation(len(x))
    queries, rows = np.sort(chosen[:QUERIES]), np.sort(chosen[QUERIES:])
    print(f"{len(x):,} x {options.dim}, {options.threads} threads")
    print(
        f"{'index':<34}{'CPU s':>8}{'seconds':>9}{f'Recall@{K}':>11}{'ms a query':>12}"
        f"{'MiB':>8}"
    )
    # faiss first: it ends the process when usearch was imported before it.
    for name in (*options.factories, "usearch"):
        index = make(name, options.dim, options.threads)
        measured(name, index, x, queries, rows)


def make(name: str, dim: int, threads: int) -> Index:
    """The index of ``jml index``."""
    if name == "usearch":
        from jml.app._use._usearch_index import UsearchIndex

        return UsearchIndex(dim, "euclidean", threads)
    from jml.app._use._faiss_index import FaissIndex

    factory, _, parameters = name.partition(":")
    return FaissIndex(dim, "euclidean", factory, parameters or None, threads)


def measured(
    name: str, index: Index, x: np.ndarray, queries: np.ndarray, rows: np.ndarray
) -> None:
    """Builds the index, and prints what it took and finds."""
    used, began = time.process_time(), time.perf_counter()
    index.build(x, rows)
    used, seconds = time.process_time() - used, time.perf_counter() - began
    share = measure(index, x, queries, rows, "euclidean")
    began = time.perf_counter()
    index.search(x[queries], K)
    each = 1000 * (time.perf_counter() - began) / len(queries)
    index.complete(x)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "index"
        index.write(str(place))
        size = place.stat().st_size / 2**20
    numbers = f"{used:8.1f}{seconds:9.1f}{100 * share:9.2f} %{each:12.3f}{size:8.0f}"
    print(f"{name:<34}{numbers}", flush=True)


if __name__ == "__main__":
    run(__file__, main)
