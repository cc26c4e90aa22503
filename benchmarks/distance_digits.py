"""Digits that the losses' distances lose where rows are close and far from 0.

python benchmarks/distance_digits.py [--pairs 1000 --dims 16 128 512 2048]

Unit rows x and y at a distance of so many times their norm. Each entry is the relative
error of |x - y|^2 from float32 products, as the losses have it, beside float64 of the
same float32 rows: the median, and the largest in brackets.
"""

import argparse
from collections.abc import Sequence

import jax
import numpy as np
from arguments import positive, run

from jml.distances import squared_distances
from jml.errors import UserError

RATIOS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4)
AT_ONCE = 250  # pairs: distances of all with all are made


def make_pairs(
    rng: np.random.Generator, number: int, dim: int, ratio: float
) -> tuple[np.ndarray, np.ndarray]:
    """Float32 unit rows in random directions, and others so far from them."""
    x, y = rng.normal(size=(2, number, dim))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    y -= np.sum(x * y, axis=1, keepdims=True) * x
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    angle = 2 * np.arcsin(ratio / 2)
    return x.astype("f"), (np.cos(angle) * x + np.sin(angle) * y).astype("f")


def relative_errors(number: int, dim: int, ratio: float) -> np.ndarray:
    """Of the squared distances of `number` pairs."""
    rng = np.random.default_rng([dim, round(1e6 * ratio)])

    @jax.jit
    def of_pairs(x, y):
        return squared_distances(x, y).diagonal()

    errors = []
    for start in range(0, number, AT_ONCE):
        x, y = make_pairs(rng, min(AT_ONCE, number - start), dim, ratio)
        exact = np.sum((x.astype(float) - y) ** 2, axis=1)
        errors.append(np.abs(np.asarray(of_pairs(x, y), float) - exact) / exact)
    return np.concatenate(errors)


def table(number: int, dims: Sequence[int]) -> list[str]:
    """The lines of a Markdown table."""
    titles = ["distance / norm", *(f"D = {dim:,}" for dim in dims)]
    rows = [titles, ["---"] * len(titles)]
    for ratio in RATIOS:
        errors = [relative_errors(number, dim, ratio) for dim in dims]
        cells = [f"{np.median(e):.0e} ({np.max(e):.0e})" for e in errors]
        rows.append([f"{ratio:g}", *cells])
    return [f"| {' | '.join(row)} |" for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=positive, default=1000)
    parser.add_argument(
        "--dims", type=positive, nargs="+", default=[16, 128, 512, 2048]
    )
    options = parser.parse_args()
    if min(options.dims) < 2:
        raise UserError("--dims: 1 has a single direction; pass 2 or more.")
    print(*table(options.pairs, options.dims), sep="\n")


if __name__ == "__main__":
    run(__file__, main)
