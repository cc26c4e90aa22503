"""How exact products are, and what it costs to be exact where they are not.

python benchmarks/retrieval_precision.py            # all of it, some minutes
python benchmarks/retrieval_precision.py --parts error

The first part measures the error of a difference of two float32 products, in units of
the squared norms, eps and sqrt(D): `jml.evaluation` takes 1 + 0.3 sqrt(D) eps as more
than it ever is. The second times retrieval of unit rows whose squared distances within
a class are about 0.1, of ten tight groups and, beside them, of the data of
`retrieval.py`, and compares a sample of the ranks with float64's.
"""

import time

import numpy as np
from arguments import positive, run
from retrieval import make_items

from jml.app._parser import Parser

SAMPLE = 200  # queries whose ranks are compared


def unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def error() -> None:
    """The largest error of some millions of differences, for rows of each kind."""
    import jax

    from jml.distances import inner_products

    product, rng, eps = jax.jit(inner_products), np.random.default_rng(0), 2.0**-23
    print("|  D  | rows | standard deviation / (sqrt(D) eps) | largest / bound |")
    print("| --- | --- | --- | --- |")
    for dim in (16, 64, 128, 512, 1024, 2048):
        base = rng.normal(size=(1008, dim))
        for name, rows in {
            "about the origin": base,
            "pairs close": base[rng.permutation(1008)] + 0.1 * base,
            "one direction": rng.normal(size=dim) + 0.1 * base,
            "no entry below 0": np.abs(base),
        }.items():
            x, y = unit(rows), unit(rows[::-1] + 0.05 * rng.normal(size=base.shape))
            exact = x.astype(float) @ y.astype(float).T
            off = 2 * (np.asarray(product(x, y)) - exact)
            # Of two entries of a row, as a fraction of the sum of the squared norms.
            off = (off[:, 1:] - off[:, :-1]) / 2
            bound = eps * (1 + 0.3 * dim**0.5)
            print(
                f"| {dim} | {name} | {off.std() / eps / dim**0.5:.3f}"
                f" | {np.abs(off).max() / bound:.2f} |"
            )


def inputs(items: int, classes: int, dim: int) -> dict[str, tuple]:
    rng = np.random.default_rng(0)
    x, labels = make_items(items, classes, dim)
    centres = rng.normal(size=(classes, dim))
    noise = rng.normal(size=(items, dim))
    groups = rng.normal(size=(10, dim))[rng.integers(0, 10, items)]
    return {
        "as in retrieval.py": (x, labels),
        "within a class about 0.1": (unit(centres[labels] + 0.23 * noise), labels),
        "ten tight groups": (unit(groups + 3e-4 * noise), labels),
    }


def cost(items: int, classes: int, dim: int) -> None:
    """Times each kind of rows, the second run of a process."""
    from jml.evaluation import evaluate

    print(f"{items:,} x {dim} in {classes:,} classes")
    first = None
    for name, (x, labels) in inputs(items, classes, dim).items():
        for _ in range(2):
            start, before = time.perf_counter(), time.process_time()
            evaluation = evaluate(x, labels, clusterings=0, resamples=0)
            cpu = time.process_time() - before
            seconds = time.perf_counter() - start
        first = first or cpu
        print(
            f"  {name:26} {seconds:6.1f} s, {cpu:6.1f} CPU-seconds, {cpu / first:4.2f}"
            " times the first; worst rank off by"
            f" {worst(x, labels, evaluation):.0e} of its distance"
        )


def worst(x: np.ndarray, labels: np.ndarray, evaluation) -> float:
    """How far the distance at the first hit's rank is from float64's, at most."""
    largest, wide = 0.0, x.astype(float)
    for query in np.linspace(0, len(x) - 1, SAMPLE).astype(int):
        if np.isnan(evaluation.per_query["mrr"][query]):
            continue
        squares = np.concatenate(
            [
                ((wide[at : at + 8192] - wide[query]) ** 2).sum(axis=1)
                for at in range(0, len(x), 8192)
            ]
        )
        squares[query] = np.inf
        nearest = squares[labels == labels[query]].min()
        at_rank = np.sort(squares)[round(1 / evaluation.per_query["mrr"][query]) - 1]
        largest = max(largest, abs(at_rank - nearest) / nearest)
    return largest


def main() -> None:
    parser = Parser(description=__doc__.partition("\n")[0])
    parser.add_argument("--items", type=positive, default=60_502)
    parser.add_argument("--classes", type=positive, default=11_316)
    parser.add_argument("--dim", type=positive, default=512)
    parts = ("error", "cost")
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    options = parser.parse_args()
    if options.items < 2:
        parser.error("--items: there must be two at least")
    if "error" in options.parts:
        error()
    if "cost" in options.parts:
        cost(options.items, min(options.classes, options.items // 2), options.dim)


if __name__ == "__main__":
    run(__file__, main)
