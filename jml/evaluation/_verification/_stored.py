"""Up to ten million pairs: all distances, from differences in float64."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from jaxtyping import Integer as Int

from jml.evaluation._ranking import Progress

from ._curve import exact_auc, make_curve
from ._genuine import Genuine
from ._items import CHUNK, Items
from ._result import Measured
from ._segments import equal_error, make_segment, most_accepted
from ._spread import standard_errors, stored_thresholds

STORED = 10**7  # most pairs whose distances are all kept


class Pairs(NamedTuple):
    """All pairs of items, in ascending order of their distances."""

    distances: Float[np.ndarray, " p"]
    first: Int[np.ndarray, " p"]  # places of the items
    second: Int[np.ndarray, " p"]
    one_class: Bool[np.ndarray, " p"]


def measure_stored(items: Items, fars: Sequence[float], progress: Progress) -> Measured:
    """Measures with all distances at hand."""
    pairs = _all_pairs(items, progress)
    in_group = items.in_one_group(pairs.first, pairs.second)
    is_genuine = pairs.one_class & ~np.broadcast_to(in_group, pairs.first.shape)
    of_genuine = pairs.distances[is_genuine]
    chunk = items.classes[pairs.first[is_genuine]], of_genuine
    counts = np.bincount(chunk[0], minlength=int(items.classes.max()) + 1)
    genuine = Genuine(lambda: iter([chunk]), counts)
    other = ~pairs.one_class
    impostors, count = pairs.distances[other], int(other.sum())
    folds = items.folds[pairs.first[other]], items.folds[pairs.second[other]]
    segment, genuine_segment = make_segment(impostors), make_segment(of_genuine)
    values = np.union1d(segment.values, genuine_segment.values)
    eer, threshold = equal_error(values, segment, count, genuine_segment, genuine.count)
    return Measured(
        genuine,
        count,
        [segment if most_accepted(far, count) else None for far in fars],
        standard_errors(fars, items.fold_count, *stored_thresholds(impostors, *folds)),
        exact_auc(of_genuine, impostors),
        0.0,
        eer,
        threshold,
        make_curve(values, segment.at_most(values), genuine_segment.at_most(values)),
    )


def _all_pairs(items: Items, progress: Progress) -> Pairs:
    """All pairs, diagonal by diagonal of their matrix: whole slices are subtracted."""
    n = len(items.classes)
    rows = items.vectors.rows(0, slice(None))
    zero = (rows == 0).all(axis=1) if items.vectors.metric == "cosine" else None
    squares = np.empty(items.pairs)
    first, second = (np.empty(items.pairs, np.int32) for _ in range(2))
    step, at = max(1, CHUNK // rows.shape[1]), 0
    for offset in progress(range(1, n)):
        for start in range(0, n - offset, step):
            a = slice(start, min(start + step, n - offset))
            b = slice(a.start + offset, a.stop + offset)
            here = slice(at, at + a.stop - a.start)
            difference = rows[b] - rows[a]
            np.einsum("ij,ij->i", difference, difference, out=squares[here])
            if zero is not None:
                squares[here][zero[a] | zero[b]] = 2
            first[here] = np.arange(a.start, a.stop)
            second[here] = np.arange(b.start, b.stop)
            at = here.stop
    order = np.argsort(squares)
    distances, first, second = (
        items.distances(squares[order]),
        first[order],
        second[order],
    )
    return Pairs(
        distances, first, second, items.classes[first] == items.classes[second]
    )
