"""How well k-means clusters of the queries agree with their classes."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from jml._evaluation_limits import CLUSTERINGS
from jml._threads import as_here, cores
from jml.evaluation._ranking import Progress, Search

from ._agreement import adjusted_mutual_information, normalized_mutual_information
from ._kmeans import kmeans

CLUSTERING_WORK = 2e10  # multiplications of one iteration of k-means
AT_ONCE = 2**28  # bytes of embeddings that all threads cluster together


def default_clusterings(search: Search) -> int:
    """How often ``evaluate`` runs k-means by default: never where it takes hours."""
    size = search.vectors.x.shape[1] * len(search.classes)
    work = size * len(np.unique(search.classes))
    return CLUSTERINGS if work <= CLUSTERING_WORK else 0


def clustering_scores(
    search: Search, seeds: range, progress: Progress
) -> dict[str, list[float]]:
    """NMI and AMI of the classes and of as many clusters, for each seed of k-means.

    On a CPU, k-means keeps one core busy. So as many seeds are clustered at once as
    there are cores, or fewer where the embeddings are large: each has copies of them.
    """
    classes, x = len(np.unique(search.classes)), search.vectors.queries()

    def score(seed: int) -> tuple[float, float]:
        clusters = kmeans(x, classes, seed=seed).clusters
        partitions = search.classes, clusters
        return (
            normalized_mutual_information(*partitions),
            adjusted_mutual_information(*partitions),
        )

    threads = min(cores(), max(1, AT_ONCE // x.nbytes))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="k-means")
    try:
        begun = {seed: pool.submit(as_here(partial(score, seed))) for seed in seeds}
        scores = [begun[seed].result() for seed in progress(seeds)]
    finally:  # after an error or a signal no seed begins, nor is one waited for
        pool.shutdown(wait=False, cancel_futures=True)
    nmi, ami = zip(*scores, strict=True)
    return {"nmi": list(nmi), "ami": list(ami)}
