"""Same or not: how well distances tell pairs of one class from pairs of two."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from jml._evaluation_limits import MOST_REPEATS
from jml._value_checks import check_functions, check_integer
from jml.evaluation._inputs import check_at_most
from jml.evaluation._ranking import Progress

from ._items import genuine_pairs, make_items
from ._points import make_points
from ._result import Verification
from ._stored import STORED, measure_stored
from ._streamed import measure_streamed

FARS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)


def verification(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Int[Array | np.ndarray, " n"],
    *,
    metric: str = "euclidean",
    fars: Sequence[float] = FARS,
    groups: Int[Array | np.ndarray, " n"] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    progress: Progress = lambda steps: steps,
) -> Verification:
    r"""Measures how well a distance tells whether two items are of one class.

    All pairs $i < j$ of items are compared. A pair of one class is *genuine*, one of
    two classes an *impostor* pair. A threshold t accepts the pairs with
    $d_{ij} \le t$, and

    ======= ==================================================================
    FAR(t)  the share of the impostor pairs that are accepted (false positives)
    TAR(t)  the share of the genuine pairs that are accepted (true positives)
    EER     the error rate where FAR = 1 - TAR, on the polyline through the
            points (FAR, TAR) at all distinct distances
    AUC     the area under that polyline: the probability that a genuine pair
            is nearer than an impostor pair, ties counted half
    ======= ==================================================================

    For each rate of `fars` the threshold is the largest distance of a pair with at most
    this FAR, and its TAR the largest that is possible at that rate. This is what
    scikit-learn's ``roc_curve`` gives for the scores $-d_{ij}$. A rate below
    1 / (number of impostor pairs) cannot be measured: there the threshold is None, and
    a note says why.

    Up to ten million pairs, all distances are computed by differences in float64. Where
    there are more, products in float32 put the impostor pairs into 65,536 bins of the
    squared distance, and the pairs in the bins that hold a threshold, or are as near to
    them as products are off by, are computed exactly. Thresholds, TAR and EER are exact
    there, too. The AUC is that of the bins, off by `auc_error` at most, and the points
    of the curve are at edges of bins, where a few pairs may be on the wrong side. No
    pair is stored, but for up to ten million genuine ones.

    Two things are uncertain, and are told apart. The intervals of TAR are of the
    genuine pairs: their classes are resampled at the threshold of all impostor pairs.
    The standard error of a threshold is of the impostor pairs: the classes are dealt
    into 20 folds of about equal size (or as many as there are classes), and the
    threshold is found without each of them (a jackknife: $\sqrt{(g - 1) / g \cdot
    \sum_a (t_a - \bar t)^2}$ for g folds). Beyond ten million pairs it comes from the
    bins, and is exact to a share of their width.

    Args:
        embeddings: one row per item, of classes that were not trained on.
        labels: class of each item, integers of any size.
        metric: "euclidean", or "cosine" for 1 - the cosine. The cosine with a row of
            zeros is 0.
        fars: false acceptance rates, each between 0 and 1.
        groups: group of each item, such as the camera that it is from. Genuine pairs of
            one group are left out, as in ``evaluate``. A negative group equals no
            other.
        confidence: the fraction of the resampled TAR within an interval.
        resamples: how often the classes are resampled; 0 for no intervals.
        seed: seed of the resampling and of the folds.
        progress: wraps the iterables of long loops, to display progress; for example
            ``tqdm.tqdm``.

    Returns:
        A ``Verification``.

    Raises:
        ValueError: an array of the wrong shape or dtype, a number out of range, an
            entry that is NaN or infinite, or no genuine or no impostor pair.

    Example:
        >>> x = np.float32([[0], [1], [10], [12], [15]])
        >>> result = verification(x, np.array([0, 0, 1, 1, 1]), fars=(0.5, 0.01))
        >>> result.genuine, result.impostors, result.auc, result.eer
        (4, 6, 1.0, 0.0)
        >>> one, two = result.points
        >>> one.threshold, one.tar, one.reached
        (11.0, 1.0, 0.5)
        >>> two.note
        'no threshold reaches this FAR on so few pairs'
    """
    name = "verification"
    rates = _checked_rates(fars)
    _check_numbers(resamples, confidence, seed)
    check_functions(name, progress=progress)
    items = make_items(name, embeddings, labels, metric, groups, seed)
    if next(genuine_pairs(items, 1), None) is None:
        raise ValueError(f"{name}: `groups` leave no genuine pair")
    few = items.pairs <= STORED
    measured = (measure_stored if few else measure_streamed)(items, rates, progress)
    points = make_points(measured, rates, resamples, confidence, seed)
    return Verification(
        metric,
        len(items.classes),
        len(measured.genuine.class_counts),
        measured.genuine.count,
        measured.impostors,
        tuple(points),
        measured.auc,
        measured.auc_error,
        measured.eer,
        measured.eer_threshold,
        confidence,
        measured.curve,
    )


def _checked_rates(fars: Any) -> list[float]:
    """The rates, the largest first; raises a ValueError."""
    try:
        rates = [float(far) for far in fars]
    except (TypeError, ValueError):
        rates = []
    if not rates or not all(0 < rate < 1 for rate in rates):
        raise ValueError(
            "verification: `fars` must be rates between 0 and 1, one at least, got"
            f" {fars!r}"
        )
    return sorted(set(rates), reverse=True)


def _check_numbers(resamples: Any, confidence: Any, seed: Any) -> None:
    check_at_most("verification", MOST_REPEATS, resamples=resamples)
    check_integer("verification", "seed", seed)
    if not isinstance(confidence, float | np.floating) or not 0 < confidence < 1:
        raise ValueError(
            f"verification: `confidence` must be between 0 and 1, got {confidence!r}"
        )
