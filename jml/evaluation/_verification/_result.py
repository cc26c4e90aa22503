"""What a verification measures, and its result."""

from typing import NamedTuple

from ._curve import Curve
from ._genuine import Genuine
from ._segments import Segment

TOO_FEW = "no threshold reaches this FAR on so few pairs"
TIED = "no threshold reaches this FAR: too many pairs are at the smallest distance"


class Measured(NamedTuple):
    """What is measured of the pairs, stored or in bins, before it becomes a result."""

    genuine: Genuine
    impostors: int
    # The impostor pairs about the threshold of each FAR; None where they are too few.
    segments: list[Segment | None]
    errors: list[float | None]  # standard errors of the thresholds
    auc: float
    auc_error: float  # how far `auc` may be off at most
    eer: float
    eer_threshold: float
    curve: Curve


class OperatingPoint(NamedTuple):
    """The threshold at a false acceptance rate, and what it accepts."""

    far: float  # the rate that was asked for
    # Pairs at most so far apart are accepted; None: there is no such distance.
    threshold: float | None
    tar: float | None  # share of the genuine pairs that it accepts; None: not known
    interval: tuple[float, float] | None  # of `tar`, over resampled classes
    # Standard error of `threshold`, over folds of classes.
    threshold_error: float | None
    reached: float | None  # share of the impostor pairs that it accepts, at most `far`
    note: str  # why there is no threshold; empty where there is one


class Verification(NamedTuple):
    """How well distances tell pairs of one class from pairs of two.

    ``verification`` makes and defines it.
    """

    metric: str
    items: int
    classes: int
    genuine: int  # pairs of one class
    impostors: int  # pairs of two classes
    points: tuple[OperatingPoint, ...]  # of each rate, the largest first
    auc: float
    auc_error: float  # how far `auc` may be off at most; 0 where all pairs are stored
    eer: float
    eer_threshold: float
    confidence: float
    curve: Curve
