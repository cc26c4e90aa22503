"""How well k-means clusters of the queries agree with their classes."""

from collections.abc import Iterable

import numpy as np

from jml._evaluation_limits import CLUSTERINGS
from jml.evaluation._ranking import Search

from ._agreement import adjusted_mutual_information, normalized_mutual_information
from ._kmeans import kmeans

CLUSTERING_WORK = 2e10  # multiplications of one iteration of k-means


def default_clusterings(search: Search) -> int:
    """How often ``evaluate`` runs k-means by default: never where it takes hours."""
    work = search.vectors.x.size * len(np.unique(search.classes))
    return CLUSTERINGS if work <= CLUSTERING_WORK else 0


def clustering_scores(search: Search, seeds: Iterable[int]) -> dict[str, list[float]]:
    """NMI and AMI of the classes and of as many clusters, for each seed of k-means."""
    classes, vectors = len(np.unique(search.classes)), search.vectors
    x = vectors.rows(0, slice(None)).astype(vectors.x.dtype)
    scores: dict[str, list[float]] = {"nmi": [], "ami": []}
    for seed in seeds:
        clusters = kmeans(x, classes, seed=seed).clusters
        scores["nmi"].append(normalized_mutual_information(search.classes, clusters))
        scores["ami"].append(adjusted_mutual_information(search.classes, clusters))
    return scores
