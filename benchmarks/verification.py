"""Thresholds of a distance at the size of Stanford Online Products, all pairs.

python benchmarks/verification.py                           # 60,502 x 128
python benchmarks/verification.py --items 5000 --check      # beside all distances

`--check` computes the same with all distances stored, which takes 100 bytes a pair at
the worst, and compares thresholds, rates and the equal error rate.
"""

import resource
import time

import numpy as np
from arguments import positive, run
from retrieval import make_items

from jml.app._parser import Parser


def peak() -> float:
    """The most memory that the process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measured(label: str, x: np.ndarray, labels: np.ndarray, metric: str):
    """Verifies, and prints what it took."""
    from jml.evaluation import verification

    before, start, cpu = peak(), time.perf_counter(), time.process_time()
    result = verification(x, labels, metric=metric)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    print(
        f"  {label}: {seconds:.1f} s, {cpu:.1f} CPU-seconds,"
        f" {peak() - before:.2f} GiB above the input"
    )
    return result


def main() -> None:
    """Runs the benchmark."""
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=positive, default=60_502)
    parser.add_argument("--classes", type=positive, default=11_316)
    parser.add_argument("--dim", type=positive, default=128)
    parser.add_argument("--metric", choices=("euclidean", "cosine"), default="cosine")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    import jax

    from jml.evaluation._verification import _verification

    jax.numpy.zeros(()).block_until_ready()
    classes = min(options.classes, options.items // 2)
    x, labels = make_items(options.items, classes, options.dim)
    print(f"{options.items:,} x {options.dim}, {len(np.unique(labels)):,} classes")
    if options.check:
        _verification.STORED = 0
    result = measured("in bins", x, labels, options.metric)
    print(f"  {result.genuine:,} genuine and {result.impostors:,} impostor pairs")
    for point in result.points:
        print(f"  FAR {point.far:g}: {point}")
    print(f"  AUC {result.auc:.9f}, off by {result.auc_error:.1e} at most")
    print(f"  EER {result.eer:.9f} at {result.eer_threshold:.9f}")
    if not options.check:
        return
    _verification.STORED = 10**12
    other = measured("all distances", x, labels, options.metric)
    for one, two in zip(result.points, other.points, strict=True):
        print(
            f"  FAR {one.far:g}: threshold {_apart(one.threshold, two.threshold):.1e}"
            f" apart, TAR {_apart(one.tar, two.tar):.1e}"
        )
    print(f"  AUC {abs(result.auc - other.auc):.1e} apart")
    print(f"  EER {abs(result.eer - other.eer):.1e} apart")


def _apart(one: float | None, two: float | None) -> float:
    return abs(one - two) if one is not None and two is not None else float(one != two)


if __name__ == "__main__":
    run(__file__, main)
