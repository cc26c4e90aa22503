"""All retrieval and clustering metrics of embeddings, in one call."""

import warnings
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from jml._evaluation_limits import MOST_REPEATS
from jml._value_checks import check_functions

from ._add_clustering import check_clusterings, clustered
from ._clustering import default_clusterings
from ._evaluation import Evaluation, make_evaluation
from ._inputs import check_at_most
from ._measure import measure
from ._ranking import Progress, Search, count_copies, make_search
from ._retrieval import bootstrap_intervals


def evaluate(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Int[Array | np.ndarray, " n"],
    gallery: Float[Array | np.ndarray, "m d"] | None = None,
    gallery_labels: Int[Array | np.ndarray, " m"] | None = None,
    *,
    ks: Sequence[int] | int | None = None,
    map_ks: Sequence[int] | int = (),
    metric: str = "euclidean",
    self_index: Int[Array | np.ndarray, " n"] | None = None,
    ids: Int[Array | np.ndarray, " n"] | None = None,
    gallery_ids: Int[Array | np.ndarray, " m"] | None = None,
    groups: Int[Array | np.ndarray, " n"] | None = None,
    gallery_groups: Int[Array | np.ndarray, " m"] | None = None,
    spread: bool = False,
    clusterings: int | None = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    progress: Progress = lambda steps: steps,
) -> Evaluation:
    r"""Measures how well embeddings retrieve and cluster, exactly.

    Every query ranks the gallery by distance; items at equal distances come in the
    order of their indices. Without a gallery every item is a query that ranks all the
    others. A gallery item is relevant if it has the query's label. Let a query have R
    relevant items, at the ranks $r_1 < r_2 < \dots$, counted from 1. Each metric is the
    mean over queries of

    ================== ==========================================================
    recall@k           1 if $r_1 \le k$, else 0; for all k, the CMC curve
    precision@1        the same as recall@1
    map                $\frac{1}{R} \sum_{l \le R} l / r_l$, over the whole ranking
    map@r              the same sum over $r_l \le R$ (Musgrave et al., 2020)
    r_precision        the fraction of the first R that is relevant
    mrr                $1 / r_1$
    map@k              $\frac{1}{\min(R, k)} \sum_{r_l \le k} l / r_l$
    map_relevant@k     the same sum divided by R, all relevant items
    map_hits@k         the same sum divided by the hits among the first k
    nmi, ami           normalised and adjusted mutual information of the labels and
                       as many k-means clusters of the queries, averaged over
                       `clusterings` seeds
    ================== ==========================================================

    Publications mean different things by average precision among the first k. map@k is
    the usual one, map_relevant@k is pytorch-metric-learning's mean_average_precision
    with k neighbours, and map_hits@k divides by the hits alone. For k as large as the
    gallery all three equal map, which is also scikit-learn's average_precision_score
    where no two distances are equal.

    The time is that of one matrix product of queries and gallery (half of it without a
    gallery), and of R comparisons with each of its entries; where R exceeds some
    hundreds, rows are sorted instead. The matrix is never stored.

    Ranks are those of the float64 distances between the vectors, with one exception:
    two distances whose relative difference is below 1e-5 may count as equal, or come in
    either order. Where vectors are much nearer to each other than to their common
    centre, float32 products are not exact enough, and the vectors are subtracted first.
    Where that concerns most pairs, as with a few tight groups far apart, products are
    repeated in float64, and the whole takes about three times as long. Equal rows are
    tied, and ranks are the same on one device and on several.

    Args:
        embeddings: one row per query.
        labels: class of each query, integers of any size.
        gallery: one row per gallery item; None to search the queries among themselves.
        gallery_labels: class of each gallery item.
        ks: numbers of nearest neighbours for Recall@k, each from 1 to the number of
            items to find; by default 1, 2, 4 and 8, as far as there are so many items.
        map_ks: numbers of nearest neighbours for average precision.
        metric: "euclidean" or "cosine". The cosine with a row of zeros is 0.
        self_index: index in the gallery of each query itself, which its ranking leaves
            out; -1 where it is not in the gallery. Without a gallery this must be None:
            a query is never in its own ranking.
        ids: which item each query is, an alternative to `self_index` for galleries with
            several copies: a ranking leaves out all gallery items with the query's id.
            A negative id equals no other.
        gallery_ids: which item each gallery item is.
        groups: group of each query, such as the camera or sequence that it is from.
            Gallery items with both the label and the group of a query are neither
            relevant nor ranked, as in Market-1501's protocol. A negative group equals
            no other.
        gallery_groups: group of each gallery item.
        spread: whether the processes of ``jax.distributed`` share the gallery. Each
            passes its part, with its labels, ids and groups, and the same queries;
            without a gallery, its part of the items. All get the result of the parts
            one after another, as one process would.
        clusterings: how many times k-means runs; 0 for no nmi and ami. The default is
            5, or 0 where one iteration takes over 2e10 multiplications: all of them
            would take hours for the classes of Stanford Online Products on a few cores.
        resamples: how often the queries are resampled for the intervals; 0 for no
            intervals. They show what other queries of the same classes would give;
            other classes would differ by more.
        confidence: the fraction of the resampled means within an interval.
        seed: seed of the resampling, and of the first clustering; each further
            clustering takes the next seed.
        progress: wraps the iterables of long loops, to display progress; for example
            ``tqdm.tqdm``.

    Returns:
        An ``Evaluation``. Queries without a relevant item are left out of all retrieval
        metrics; `left_out` counts them. The intervals of nmi and ami are the range over
        the seeds.

    Warns:
        UserWarning: some queries equal a gallery row bit for bit, and neither
            `self_index` nor `ids` is given. The message tells how many.

    Raises:
        ValueError: an array of the wrong shape or dtype, a number out of range, an
            entry that is NaN or infinite, or no query with a relevant item.

    Example:
        >>> embeddings = np.float32([[0], [1], [3], [4]])
        >>> result = evaluate(embeddings, np.array([0, 0, 1, 0]), ks=(1, 3))
        >>> result.queries, result.left_out
        (3, 1)
        >>> names = "recall@1", "map", "mrr"
        >>> {name: round(result.metrics[name], 3) for name in names}
        {'recall@1': 0.667, 'map': 0.75, 'mrr': 0.833}
    """
    search = make_search(
        "evaluate",
        embeddings,
        labels,
        gallery,
        gallery_labels,
        metric=metric,
        self_index=self_index,
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
        spread=spread,
    )
    if clusterings is None:
        clusterings = default_clusterings(search)
    _check_numbers(clusterings, resamples, confidence, seed)
    check_functions("evaluate", progress=progress)
    measured = measure("evaluate", search, ks=ks, map_ks=map_ks, progress=progress)
    if gallery is not None and self_index is None and ids is None:
        _warn_of_copies(search)
    names, means = measured.names, measured.values.mean(axis=0)
    metrics = dict(zip(names, means.tolist(), strict=True))
    intervals = {}
    if resamples:
        bounds = bootstrap_intervals(
            measured.values, resamples=resamples, confidence=confidence, seed=seed
        )
        pairs = ((low, high) for low, high in bounds.tolist())
        intervals = dict(zip(names, pairs, strict=True))
    evaluation = make_evaluation(search, measured, metrics, intervals, confidence)
    return clustered(evaluation, search, clusterings, seed, progress)


def _check_numbers(
    clusterings: int, resamples: int, confidence: float, seed: int
) -> None:
    """Raises a ValueError unless the numbers of ``evaluate`` are in range."""
    check_clusterings("evaluate", clusterings, seed)
    check_at_most("evaluate", MOST_REPEATS, resamples=resamples)
    if not isinstance(confidence, float | np.floating) or not 0 < confidence < 1:
        raise ValueError(
            f"evaluate: `confidence` must be between 0 and 1, got {confidence!r}"
        )


def _warn_of_copies(search: Search) -> None:
    """Warns the caller of ``evaluate`` of queries that find themselves."""
    copies = count_copies(search)
    if copies:
        warnings.warn(
            f"evaluate: {copies:,} of {len(search.classes):,} queries equal a gallery"
            " row bit for bit, and so are their own nearest neighbours; pass"
            " `self_index` or `ids` to leave them out of their own rankings",
            stacklevel=3,
        )
