"""What is measured of the pairs, in either way, before it becomes a result."""

from typing import NamedTuple

from ._curve import Curve
from ._genuine import Genuine
from ._segments import Segment


class Measured(NamedTuple):
    """The genuine pairs, and the impostor pairs about each threshold."""

    genuine: Genuine
    impostors: int
    segments: list[Segment | None]  # that of each FAR; None where pairs are too few
    errors: list[float | None]  # standard errors of the thresholds
    auc: float
    auc_error: float  # how far `auc` may be off at most
    eer: float
    eer_threshold: float
    curve: Curve
