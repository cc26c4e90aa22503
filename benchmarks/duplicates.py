"""All near pairs, beside `recall_at_k` on the same vectors, and scikit-learn's search.

python benchmarks/duplicates.py                     # 60,000 x 512, some minutes
python benchmarks/duplicates.py --items 6000 --dim 64

The vectors are unit vectors about class centres, of which some are copies, bit for bit,
and as many are nearly copies. The two are timed in turns in one process; scikit-learn's
radius search, by a tree and so by differences, says whether all pairs are there, and at
what distance, among the first 2,000.
"""

import argparse
import statistics
import time

import numpy as np
from arguments import positive, positive_number, run
from retrieval import make_items, peak

from jml.app._parser import Parser
from jml.errors import UserError

TURNS = 3
COMPARED = 2000


def make_duplicates(items: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of which one in fifty is a copy, and one in fifty is nearly one."""
    x, labels = make_items(items, max(1, items // 5), dim)
    rng = np.random.default_rng(1)
    for kind in (np.arange(1, items, 50), np.arange(2, items, 50)):
        x[kind] = x[np.maximum(kind - 1 - rng.integers(0, 400, len(kind)), 0)]
    near = x[kind] + 0.001 * rng.normal(size=(len(kind), dim)) / dim**0.5
    x[kind] = near.astype(np.float32)
    return x, labels


def compare(x: np.ndarray, threshold: float) -> str:
    """Raises a UserError unless scikit-learn finds the same pairs and distances."""
    from sklearn.neighbors import NearestNeighbors

    from jml.evaluation import near_pairs

    pairs = near_pairs(x, threshold=threshold)
    search = NearestNeighbors(radius=threshold, algorithm="kd_tree").fit(x)
    distances, items = search.radius_neighbors(x)
    rows = np.repeat(np.arange(len(x)), [len(row) for row in items])
    columns, distances = np.concatenate(items), np.concatenate(distances)
    first = rows < columns
    rows, columns, distances = rows[first], columns[first], distances[first]
    order = np.lexsort((columns, rows))
    if not (
        np.array_equal(pairs.rows, rows[order])
        and np.array_equal(pairs.columns, columns[order])
    ):
        raise UserError(f"other pairs: {len(pairs.rows)}, and {len(rows)} by the peer")
    error = np.abs(pairs.distances - distances[order]).max(initial=0)
    return f"{len(rows):,} pairs, distances up to {error:.1e} apart"


def main() -> None:
    """Times both, and prints the ratio."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=positive, default=60_000)
    parser.add_argument("--dim", type=positive, default=512)
    parser.add_argument("--threshold", type=positive_number, default=0.3)
    options = parser.parse_args()
    x, labels = make_duplicates(options.items, options.dim)

    from jml.evaluation import near_pairs, recall_at_k
    from jml.training import keep_freed_memory

    keep_freed_memory()
    print(f"{options.items:,} x {options.dim}, threshold {options.threshold:g}")
    compared = compare(x[:COMPARED], options.threshold)
    print(f"scikit-learn, {len(x[:COMPARED]):,} items: {compared}")
    before = peak()
    searches = {
        "near_pairs": lambda: near_pairs(x, threshold=options.threshold),
        "recall_at_k": lambda: recall_at_k(x, labels, ks=1),
    }
    seconds = {name: [] for name in searches}
    memory, found = {}, {}
    for turn in range(TURNS + 1):  # the first compiles
        for name, search in searches.items():
            wall, cpu = time.perf_counter(), time.process_time()
            found[name] = search()
            took = time.perf_counter() - wall, time.process_time() - cpu
            memory.setdefault(name, peak() - before)
            if turn:
                seconds[name].append(took)
    print(f"{len(found['near_pairs'].rows):,} pairs")
    medians = {}
    for name, taken in seconds.items():
        medians[name] = [
            statistics.median(column) for column in zip(*taken, strict=True)
        ]
        wall, cpu = medians[name]
        print(f"{name:<12}{wall:8.1f} s,{cpu:8.1f} s of processor time")
    wall, cpu = (a / b for a, b in zip(*medians.values(), strict=True))
    print(f"ratio       {wall:8.2f},  {cpu:8.2f}")
    print(f"near_pairs took {memory['near_pairs']:.2f} GiB above the vectors")


if __name__ == "__main__":
    run(__file__, main)
