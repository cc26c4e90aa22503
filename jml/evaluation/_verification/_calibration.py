"""From a distance to an answer: thresholds, and the probability of one class."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float
from jaxtyping import Integer as Int

from jml.errors import UserError

from ._items import Items, genuine_pairs, make_items
from ._logistic import calibration_error, fit_logistic, logistic
from ._result import OperatingPoint
from ._verification import verification

MOST_PAIRS = 200_000  # of each kind that the logistic sees


class Calibration(NamedTuple):
    """What distances of one network mean. ``calibrate`` makes and defines it."""

    metric: str
    digest: str  # of the network's weights; empty where it is not known
    points: tuple[OperatingPoint, ...]  # the threshold of each rate, the largest first
    confidence: float  # of their intervals
    auc: float
    auc_error: float  # how far `auc` may be off at most
    eer: float
    eer_threshold: float
    items: int
    classes: int
    genuine: int  # pairs of one class
    impostors: int  # pairs of two classes
    intercept: float  # of the logistic
    slope: float
    calibration_error: float

    def threshold(self, far: float) -> float:
        """The largest distance that is accepted at a false acceptance rate.

        Raises:
            UserError: the rate is not in the table, or no threshold reaches it.
        """
        rates = ", ".join(f"{point.far:g}" for point in self.points)
        for point in self.points:
            if np.isclose(point.far, far, rtol=1e-9, atol=0):
                if point.threshold is None:
                    raise UserError(
                        f"`far`: {far:g}: {point.note}; pass a larger one of {rates}."
                    )
                return point.threshold
        raise UserError(
            f"`far`: there is no threshold for {far!r}; pass one of {rates}."
        )

    def probability(
        self, distances: Float[np.ndarray, "*p"], *, prior: float = 0.5
    ) -> Float[np.ndarray, "*p"]:
        """The probability that pairs so far apart are of one class.

        Args:
            distances: of the pairs, in the calibration's metric.
            prior: the probability before the distance is known. It is 1/2 unless more
                is known; for the nearest of many gallery items it depends on how
                likely the class of the query is among them.
        """
        if not 0 < prior < 1:
            raise ValueError(
                f"probability: `prior` must be between 0 and 1, got {prior!r}"
            )
        shift = np.log(prior / (1 - prior))
        logits = self.intercept + self.slope * np.asarray(distances, np.float64)
        return logistic(logits + shift)


def calibrate(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Int[Array | np.ndarray, " n"],
    *,
    metric: str = "euclidean",
    digest: str = "",
    seed: int = 0,
    **options: Any,
) -> Calibration:
    r"""Finds what distances mean: thresholds, and the probability of one class.

    The thresholds are those of ``verification``, over all items. The probability is a
    logistic of the distance, $p = 1 / (1 + e^{-(a + b d)})$, fitted on half of the
    classes (drawn by `seed`); its calibration error is that on the other half: the
    expected calibration error (ECE) in 15 bins of equal width. Both take all genuine
    and impostor pairs within their half, or 200,000 drawn of each.

    Genuine pairs have as much weight together as impostors, in the fit and in the
    error. So p is the probability for a pair that is as likely of one class as not (a
    prior of 1/2). Among all pairs, genuine ones are far rarer:
    ``Calibration.probability`` takes another `prior`.

    Args:
        embeddings: one row per item, of classes that were not trained on.
        labels: class of each item.
        metric: "euclidean", or "cosine" for 1 - the cosine.
        digest: of the weights of the network, which is kept with the result.
        seed: seed of all that is drawn.
        options: of ``verification``: `fars`, `groups`, `confidence`, `resamples` and
            `progress`.

    Returns:
        A ``Calibration``.

    Raises:
        ValueError: as ``verification``; or there are too few classes for two halves
            that both have a genuine and an impostor pair.

    Example:
        >>> x = np.float32([[0], [1], [9], [10], [20], [21], [30], [31]])
        >>> labels = np.array([0, 0, 1, 1, 2, 2, 3, 3])
        >>> calibration = calibrate(x, labels, fars=(0.1,))
        >>> near, far = calibration.probability(np.array([1.0, 10.0]))
        >>> bool(near > 0.5 > far)
        True
    """
    result = verification(embeddings, labels, metric=metric, seed=seed, **options)
    groups = options.get("groups")
    items = make_items("calibrate", embeddings, labels, metric, groups, seed)
    rng = np.random.default_rng(seed)
    fitted, other = (_pairs(items, half, rng) for half in _halves(items, rng))
    intercept, slope = fit_logistic(*fitted)
    probabilities = logistic(intercept + slope * other[0])
    return Calibration(
        metric,
        digest,
        result.points,
        result.confidence,
        result.auc,
        result.auc_error,
        result.eer,
        result.eer_threshold,
        result.items,
        result.classes,
        result.genuine,
        result.impostors,
        intercept,
        slope,
        calibration_error(probabilities, other[1]),
    )


def _halves(items: Items, rng: np.random.Generator) -> list[np.ndarray]:
    """The places of the items of each half of the classes.

    Classes with a genuine pair, and the others, are halved alike.
    """
    paired = np.zeros(int(items.classes.max()) + 1, bool)
    for i, _ in genuine_pairs(items, 2**20):
        paired[items.classes[i]] = True
    drawn = rng.permutation(len(paired))
    in_turn = np.concatenate([drawn[paired[drawn]], drawn[~paired[drawn]]])
    if paired.sum() < 2 or len(in_turn) < 4:
        raise ValueError(
            "calibrate: `labels` must hold four classes at least, two of them with a"
            f" genuine pair, got {len(in_turn)} and {paired.sum()}: a logistic is"
            " fitted on half of the classes, and checked on the other half"
        )
    half = np.empty(len(paired), int)
    half[in_turn] = np.arange(len(in_turn)) % 2
    return [np.flatnonzero(half[items.classes] == number) for number in (0, 1)]


def _pairs(
    items: Items, places: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of pairs within these places, and which are genuine."""
    inside = np.zeros(len(items.classes), bool)
    inside[places] = True
    chunks = [(i[inside[i]], j[inside[i]]) for i, j in genuine_pairs(items, MOST_PAIRS)]
    i, j = (np.concatenate(part) for part in zip(*chunks, strict=True))
    if len(i) > MOST_PAIRS:
        kept = rng.choice(len(i), MOST_PAIRS, replace=False)
        i, j = i[kept], j[kept]
    a, b = _impostors(items, places, rng)
    squares = items.squares(np.concatenate([i, a]), np.concatenate([j, b]))
    return items.distances(squares), np.arange(len(squares)) < len(i)


def _impostors(
    items: Items, places: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Impostor pairs: all of them if they are few, else drawn."""
    n = len(places)
    if n * (n - 1) // 2 <= MOST_PAIRS:
        a, b = np.triu_indices(n, 1)
    else:
        a, b = rng.integers(n, size=(2, 4 * MOST_PAIRS))
    a, b = places[a], places[b]
    kept = np.flatnonzero(items.classes[a] != items.classes[b])[:MOST_PAIRS]
    return a[kept], b[kept]
