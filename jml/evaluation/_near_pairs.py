"""All pairs of items that are near each other."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Float64, Int32

from jml._checks import check_count, check_number
from jml.errors import UserError

from ._ranking import Nearness, Progress, Vectors, make_vectors, pairs_within
from ._ranking._vectors import CHUNK

# How far apart two vectors may be that are equal up to rounding, in units of eps and
# of their length. A ResNet-18 and a ResNet-50 gave embeddings of one image in batches
# of 1 to 32 that were up to 6 apart.
ROUNDING = 32
MOST_PAIRS = 20_000_000
LARGEST = float(np.finfo(np.float64).max)
FAR = 1e100  # beyond all distances of scaled vectors; its square is a float
UP = 1 + 1e-9  # so that rounding a limit never lowers it


class NearPairs(NamedTuple):
    """Pairs of near items, in the order of `rows`, and then of `columns`."""

    rows: Int32[np.ndarray, " p"]
    columns: Int32[np.ndarray, " p"]  # of the gallery; without one, above `rows`
    distances: Float64[np.ndarray, " p"]


def near_pairs(
    embeddings: Float[Array | np.ndarray, "n d"],
    gallery: Float[Array | np.ndarray, "m d"] | None = None,
    *,
    threshold: float | None,
    metric: str = "euclidean",
    max_pairs: int = MOST_PAIRS,
    progress: Progress | None = None,
) -> NearPairs:
    r"""All pairs of which the distance is at most a threshold.

    Distances are those of differences in float64, near zero, too; products in float32
    only say where to look, with a bound on their error. The matrix of all distances is
    never stored.

    Without a threshold, pairs are near that are equal up to rounding,

    $$|x - y| \le 16\,\epsilon\,(|x| + |y|),$$

    where $\epsilon$ is the distance from 1 to the next number of float32, or of float64
    where all vectors have it. For the cosine, $x$ and $y$ are first divided by their
    lengths. A network that embeds one image in batches of several sizes gives vectors
    that are further apart than their last digit; this allows for five times what
    ResNets showed.

    Args:
        embeddings: one row per item.
        gallery: one row per item of the gallery; None for the pairs among `embeddings`,
            each once.
        threshold: the largest distance of a near pair; None for pairs that are equal up
            to rounding.
        metric: "euclidean", or "cosine", where the distance is 1 - cos: 1 to a row of
            zeros.
        max_pairs: how many pairs there may be. A pair takes 16 bytes.
        progress: wraps the loop over parts of the matrix, to display it.

    Returns:
        The pairs' indices and distances.

    Raises:
        UserError: there are more than `max_pairs`.
        ValueError: wrong shape or dtype, a number out of range, or an entry that is NaN
            or infinite.

    Example:
        >>> pairs = near_pairs(np.float32([[0], [5], [0], [2]]), threshold=2.0)
        >>> for row, column, distance in zip(*pairs):
        ...     print(row, column, distance)
        0 2 0.0
        0 3 2.0
        2 3 2.0
    """
    name = "near_pairs"
    vectors = make_vectors(name, embeddings, gallery, metric)
    check_count(name, "max_pairs", max_pairs)
    nearness = _equal_up_to_rounding(vectors)
    if threshold is not None:
        threshold = _checked_threshold(name, threshold)
        nearness = _up_to(vectors, threshold)
    found, count = [], 0
    for pairs in pairs_within(vectors, nearness, progress):
        rows, columns, distances = pairs
        found.append(
            NearPairs(rows.astype(np.int32), columns.astype(np.int32), distances)
        )
        count += len(rows)
        if count > max_pairs:
            raise UserError(_too_many(count, threshold, max_pairs))
    rows, columns, distances = (
        np.concatenate([getattr(part, field) for part in found])
        if found
        else np.zeros(0, dtype)
        for field, dtype in zip(NearPairs._fields, "iid", strict=True)
    )
    order = np.lexsort((columns, rows))
    return NearPairs(rows[order], columns[order], distances[order])


def _checked_threshold(name: str, threshold: Any) -> float:
    check_number(name, "threshold", threshold)
    if not 0 <= threshold < math.inf:
        raise ValueError(
            f"{name}: `threshold` must be a distance from 0, or None, got {threshold}"
        )
    return float(min(threshold, LARGEST))


def _too_many(count: int, threshold: float | None, most: int) -> str:
    near = "equal up to rounding" if threshold is None else f"within {threshold:g}"
    advice = "keep one of equal rows" if threshold is None else "lower it"
    return (
        f"`threshold`: {count:,} pairs so far are {near}, more than {most:,}; {advice}."
    )


def _up_to(vectors: Vectors, threshold: float) -> Nearness:
    if vectors.metric == "cosine":
        square = 2 * min(threshold, FAR)
    else:
        with np.errstate(over="ignore"):
            square = min(float(np.ldexp(threshold, -vectors.exponent)), FAR) ** 2
    limits = np.full(len(vectors.x), square * UP)
    return Nearness(limits, lambda rows, columns, distances: distances <= threshold)


def _equal_up_to_rounding(vectors: Vectors) -> Nearness:
    error = ROUNDING * max(float(np.finfo(a.dtype).eps) for a in (vectors.x, vectors.y))
    if vectors.metric == "cosine":
        return _up_to(vectors, error**2 / 2)
    norms = [_lengths(vectors, part) for part in range(len(vectors.parts))]
    # |y| is at most |x| and their distance.
    limits = (error * norms[0] / (1 - error / 2)) ** 2 * UP

    def within(rows, columns, distances):
        largest = error / 2 * (norms[0][rows] + norms[-1][columns])
        return np.ldexp(distances, -vectors.exponent) <= largest

    return Nearness(limits, within)


def _lengths(vectors: Vectors, part: int) -> Float64[np.ndarray, " n"]:
    """Of scaled rows; a few at a time are in float64."""
    size, columns = vectors.parts[part].shape
    step = max(1, CHUNK // columns)
    squares = np.empty(size)
    for at in range(0, size, step):
        rows = vectors.rows(part, slice(at, at + step))
        squares[at : at + step] = np.einsum("ij,ij->i", rows, rows)
    return np.sqrt(squares)
