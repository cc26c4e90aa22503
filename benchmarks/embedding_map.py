"""The report's map beside scikit-learn's t-SNE: how good, and how fast.

python benchmarks/embedding_map.py                             # a minute or two
python benchmarks/embedding_map.py --embeddings embeddings.npy

Maps of clusters, of one Gaussian blob and, if they are passed, of embeddings. KL is the
divergence that t-SNE minimises, here of all pairs: lower is better. The trustworthiness
counts how many of a point's 8 or 30 nearest in the map are near in the original space,
too: 1 is best. Seconds are those of two runs, of which JML's first compiles, and of the
processor in the second.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from arguments import positive, run

from jml.app._parser import Parser

PERPLEXITY = 30


def inputs(points, files):
    """The points by name, centred and scaled as the report does it."""
    rng = np.random.default_rng(0)
    centres, noise = rng.normal(size=(100, 128)), rng.normal(size=(points, 128))
    tables = {
        "100 clusters": centres[rng.integers(0, 100, points)] + 0.5 * noise,
        "one blob": noise,
    }
    for file in files:
        x = np.load(file, allow_pickle=False)
        tables[Path(file).stem] = x[rng.permutation(len(x))[:points]]
    for name, x in tables.items():
        x = x.astype(np.float32) / np.abs(x).max()
        yield name, x - x.mean(axis=0)


def divergence(x, y):
    """KL of the map `y`, with Gaussians of all points, which no method has at hand."""
    from scipy.spatial.distance import pdist, squareform
    from sklearn.manifold._t_sne import _joint_probabilities

    squares = squareform(pdist(x, "sqeuclidean")).astype(np.float32)
    p = _joint_probabilities(squares, PERPLEXITY, 0)
    t = 1 / (1 + pdist(y.astype(float), "sqeuclidean"))
    return 2 * float(p @ np.log(p / np.maximum(t / (2 * t.sum()), 1e-16)))


def peers(x):
    """Functions that map the points, by name."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    from jml.report._tsne import tsne

    def by_trees(**options):
        # Its threads wait for one another at every step: one alone is as fast.
        with threadpool_limits(1):
            options |= {"perplexity": PERPLEXITY, "init": "pca", "random_state": 0}
            return TSNE(**options).fit_transform(x)

    return {
        "JML": lambda: tsne(x, x[:, :2], perplexity=PERPLEXITY),
        "scikit-learn": by_trees,
        "scikit-learn, 500 steps": lambda: by_trees(max_iter=500, learning_rate=200.0),
        "scikit-learn, 500 steps, angle 0.8": lambda: by_trees(
            max_iter=500, learning_rate=200.0, angle=0.8
        ),
    }


def timed(function):
    """What a function returns; seconds of two runs, CPU-seconds of the second."""
    seconds = []
    for _ in range(2):
        start, before = time.perf_counter(), time.process_time()
        result = function()
        cpu = time.process_time() - before
        seconds.append(time.perf_counter() - start)
    return result, [*seconds, cpu]


def main():
    """Prints a line for each map as it is done."""
    from sklearn.manifold import trustworthiness

    from jml.report._embedding_map import _principal_components

    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=positive, default=2000)
    parser.add_argument("--embeddings", nargs="+", default=[], metavar="FILE.npy")
    options = parser.parse_args()
    print(
        "| points | map | first, s | second, s | CPU-s | KL | trust of 8 | of 30 |\n"
        + "| --- " * 8
        + "|"
    )
    for name, x in inputs(options.points, options.embeddings):
        components = _principal_components(x, 50)
        for peer, function in peers(components).items():
            y, seconds = timed(function)
            trust = (trustworthiness(x, y, n_neighbors=k) for k in (8, 30))
            cells = [f"{number:.1f}" for number in seconds]
            cells.append(f"{divergence(components, y):.3f}")
            cells += [f"{value:.4f}" for value in trust]
            print(f"| {name} | {peer} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    run(__file__, main)
