"""Retrieval metrics of embeddings from anywhere: arrays, or .npy files.

    python examples/evaluate_embeddings.py                       # made up here
    python examples/evaluate_embeddings.py embeddings.npy labels.npy

`jml evaluate embeddings.npy labels.npy` prints the same metrics and more.
"""

import sys

import numpy as np

from jml.evaluation import evaluate


def made_up():
    """100 classes of 6 items: a centre for each class, and noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(600) // 6
    return rng.normal(size=(100, 16))[labels] + rng.normal(size=(600, 16)), labels


def report(title, result):
    """Prints each metric with its 95% interval."""
    print(f"{title}: {result.queries} queries, {result.left_out} left out")
    for name, (low, high) in result.intervals.items():
        print(f"  {name:13}{result.metrics[name]:.3f}  ({low:.3f} to {high:.3f})")


def main(files):
    """Evaluates all items against each other, then queries against a gallery."""
    embeddings, labels = map(np.load, files) if files else made_up()
    options = {"ks": (1, 10), "metric": "cosine"}
    report("each against all others", evaluate(embeddings, labels, **options))

    query = np.arange(len(labels)) % 3 == 0  # every third item asks the others
    result = evaluate(
        *(embeddings[query], labels[query], embeddings[~query], labels[~query]),
        **options,
    )
    report("queries against a gallery", result)
    hardest = result.class_labels[np.argmin(result.per_class["map"])]
    print(f"hardest class: {hardest}")


if __name__ == "__main__":
    main(sys.argv[1:])
