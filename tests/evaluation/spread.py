"""Searches of a gallery in parts, in one of two processes.

``HOST:PORT PROCESS OUT`` writes what this process gets to the file OUT.
"""

import sys
import warnings
from unittest.mock import patch

import jax
import jaxtyping
import numpy as np

from jml.evaluation import evaluate, nearest_neighbours, recall_at_k
from jml.evaluation._ranking import _ranks
from tests.compilation import quickly
from tests.garbage import collect_seldom

N, M, D = 30, 60, 5  # one shape, for few programs
SEEDS = range(18)
KINDS = ("whole", "normal", "far", "huge", "zeros", "equal")


def rows(rng, kind, n, dtype):
    """Vectors with ties and copies, in tight groups, far from 1, with rows of zeros."""
    x = rng.normal(size=(n, D))
    if kind == "whole":
        x = rng.integers(-2, 3, (n, D))
    if kind == "far":
        x = x * 1e-4 + 30 * rng.integers(0, 3, (n, 1))
    if kind == "huge":
        x = x * 10.0 ** rng.integers(-3, 30, (n, 1))
    if kind == "zeros":
        x = x * rng.integers(0, 2, (n, 1))
    if kind == "equal":
        x = np.ones((n, D)) / 3
    return x.astype(dtype)


def search(seed):
    """Arguments of a search: of its queries, of its gallery, of all; and the cut."""
    rng = np.random.default_rng(seed)
    kind, dtype = KINDS[seed % len(KINDS)], ("float32", "float64")[seed // 6 % 2]
    alone = bool(rng.integers(2))
    n, m = M if alone else N, M
    cut = int(rng.choice([0, m, 1, 20, rng.integers(m)]))
    classes = rng.choice([2, 4, 20])
    queries = {"embeddings": rows(rng, kind, n, dtype)}
    queries["labels"] = rng.integers(0, classes, n)
    items = {"gallery": rows(rng, kind, m, dtype)}
    items["gallery_labels"] = np.sort(rng.integers(0, classes, m))
    for name in ("ids", "groups"):
        if rng.integers(2):
            queries[name] = rng.integers(-1, 9, n)
            items[f"gallery_{name}"] = rng.integers(-1, 9, m)
    options = {"metric": str(rng.choice(["euclidean", "cosine"]))}
    if "ids" not in queries and not alone:
        options["self_index"] = rng.integers(-1, m, n)
    if alone:
        return {}, queries, options, cut
    return queries, items, options, cut


def large():
    """Several tiles, classes that lie in one part, and copies in different parts.

    The longest rows are in one part; errors of products are bounded by the longest.
    """
    rng = np.random.default_rng(99)
    x = rng.normal(size=(1500, D)).astype(np.float32)
    x *= 10 / np.linalg.norm(x, axis=1, keepdims=True)
    x[900:1400] = x[:500]
    x[500:503] *= 10
    items = {"embeddings": x, "labels": np.arange(1500) // 5 % 270}
    return {}, items, {"metric": "euclidean"}, 1100


def parts(whole, cut):
    return [
        {name: values[part] for name, values in whole.items()}
        for part in (slice(cut), slice(cut, None))
    ]


def numbers(result):
    """What ``evaluate`` found, flat."""
    found = {}
    for field, value in result._asdict().items():
        entries = value.items() if isinstance(value, dict) else [("", value)]
        found |= {f"{field} {name}": np.asarray(entry) for name, entry in entries}
    return found


def results(process, searches):
    """All numbers by name: those of one process without a number, or of one of two."""
    found = {}
    spread = {} if process is None else {"spread": True}
    for seed in searches:
        same, shared, options, cut = large() if seed == "large" else search(seed)
        if process is not None:
            shared = parts(shared, cut)[process]
        arguments = same | shared | spread
        every = {"resamples": 9, "clusterings": int(seed == 1)}
        result = evaluate(**arguments, **options, **every)
        found |= {f"{seed} {name}": value for name, value in numbers(result).items()}
        found |= neighbours(seed, arguments, options)
        if options == {"metric": "euclidean"}:
            found[f"{seed} recall"] = np.array([*recall_at_k(**arguments).values()])
    return found


def neighbours(seed, arguments, options):
    """The nearest items of some queries, as many as each can find at least."""
    named = {"spread", "embeddings", "gallery", "ids", "gallery_ids"}
    named |= {"groups", "gallery_groups", "labels", "gallery_labels"}
    arguments = {k: v for k, v in arguments.items() if k in named} | options
    found = nearest_neighbours(**arguments, k=9, rows=np.arange(3, 28))
    names = f"{seed} indices", f"{seed} distances"
    return dict(zip(names, found, strict=True))


def all_results(process=None):
    """Those where targets are counted, and those where rows are sorted."""
    warnings.simplefilter("ignore", UserWarning)  # of queries in the gallery
    found = results(process, [*SEEDS, "large"])
    with patch.object(_ranks, "SORT_ABOVE", 0):
        by_sorting = results(process, SEEDS[::5])
    return found | {f"sorted {name}": value for name, value in by_sorting.items()}


def refusals(process):
    """What this process is told where the other makes a mistake, or both do."""
    x, labels = np.ones((4, D), np.float32), np.arange(4)
    broken = np.where(np.arange(4)[:, None] == 2, np.nan, x) if process else x
    calls = [
        lambda: recall_at_k(broken, labels, spread=True),
        lambda: recall_at_k(x, labels[: 4 - process], spread=True),
        lambda: recall_at_k(x + process, labels, x, labels, spread=True),
        lambda: recall_at_k(x, labels, ids=[None, labels][process], spread=True),
        lambda: recall_at_k(x[:, process:], labels, spread=True),
        lambda: nearest_neighbours(x, k=1 + process, spread=True),
        lambda: nearest_neighbours(x, k=8, spread=True),
        lambda: recall_at_k(x, labels, x[:0], labels[:0], spread=True),
        lambda: recall_at_k(x[:0], labels[:0], spread=True),
    ]
    words = []
    jaxtyping.config.update("jaxtyping_disable", True)  # it would notice some of them
    for call in calls:
        try:
            call()
        except ValueError as error:
            words.append(str(error))
    return words


def main(address, process, out):
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(address, 2, int(process))
    with quickly():
        found = all_results(int(process)) | {"refusals": refusals(int(process))}
        np.savez(out, devices=jax.device_count(), **found)


if __name__ == "__main__":
    collect_seldom()
    main(*sys.argv[1:])
