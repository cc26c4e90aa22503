"""The clustering metrics of ``evaluate``, after its retrieval metrics or with them."""

import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from jml._evaluation_limits import MOST_REPEATS, largest_first_seed
from jml._value_checks import check_functions, check_type

from ._clustering import clustering_scores, default_clusterings
from ._evaluation import Evaluation
from ._inputs import check_at_most
from ._ranking import Progress, Search, checked_classes, make_excluded, make_vectors


def add_clustering(
    evaluation: Evaluation,
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Int[Array | np.ndarray, " n"],
    *,
    metric: str = "euclidean",
    clusterings: int | None = None,
    seed: int = 0,
    progress: Progress = lambda steps: steps,
) -> Evaluation:
    """Adds nmi and ami to an evaluation, without ranking again.

    ``evaluate(..., clusterings=0)`` and then this is the same as ``evaluate`` alone,
    for those who need the retrieval metrics early: k-means takes longer.

    Args:
        evaluation: what ``evaluate`` returned for these embeddings.
        embeddings: one row per query.
        labels: class of each query.
        metric: as in ``evaluate``.
        clusterings: how many times k-means runs; by default as often as in
            ``evaluate``.
        seed: seed of the first clustering; each further one takes the next seed.
        progress: wraps the loop over the seeds.

    Returns:
        The evaluation with the two metrics, and the range over the seeds as their
        intervals. With 0 clusterings, the evaluation itself.

    Raises:
        ValueError: an array of the wrong shape or dtype, a number out of range, an
            entry that is NaN or infinite, or an evaluation of another number of
            queries.

    Example:
        >>> from jml.evaluation import evaluate
        >>> x, labels = np.float32([[0], [1], [8], [9]]), np.array([0, 0, 1, 1])
        >>> early = evaluate(x, labels, ks=1, clusterings=0)
        >>> round(add_clustering(early, x, labels).metrics["nmi"], 3)
        1.0
    """
    name = "add_clustering"
    check_type(name, "evaluation", evaluation, Evaluation, "an Evaluation")
    check_functions(name, progress=progress)
    vectors = make_vectors(name, embeddings, None, metric)
    n = len(vectors.x)
    distinct, *classes = checked_classes(name, labels, None, n, None)
    excluded = make_excluded(name, n, None, classes=None)
    search = Search(vectors, classes[0], classes[1], excluded, distinct)
    measured = evaluation.queries + evaluation.left_out
    if measured != n:
        raise ValueError(
            f"{name}: `evaluation` has {measured} queries, and `embeddings` {n} rows"
        )
    if clusterings is None:
        clusterings = default_clusterings(search)
    check_clusterings(name, clusterings, seed)
    return clustered(evaluation, search, clusterings, seed, progress)


def clustered(
    evaluation: Evaluation,
    search: Search,
    clusterings: int,
    seed: int,
    progress: Progress,
) -> Evaluation:
    """Adds the mean and the range of nmi and ami, if there are any clusterings."""
    if not clusterings:
        return evaluation
    metrics, intervals = dict(evaluation.metrics), dict(evaluation.intervals)
    seeds = range(seed, seed + clusterings)
    for name, scores in clustering_scores(search, seeds, progress).items():
        metrics[name] = float(np.mean(scores))
        intervals[name] = min(scores), max(scores)
    return evaluation._replace(metrics=metrics, intervals=intervals)


def check_clusterings(name: str, clusterings: int, seed: int) -> None:
    """Raises a ValueError unless both are in range, and each seed that follows."""
    check_at_most(name, MOST_REPEATS, clusterings=clusterings)
    check_at_most(name, largest_first_seed(clusterings), seed=seed)
