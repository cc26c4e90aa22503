"""Same or not: thresholds of a distance, and what they accept.

The modules, from the bottom up:

- `_items`: the items, sorted, and distances of single pairs;
- `_segments`: distances in order, and what is read off them;
- `_genuine`: the genuine pairs;
- `_spread`: how sure thresholds and rates are;
- `_curve` and `_result`: what is measured;
- `_stored`: all distances at hand;
- `_bins`, `_levels` and `_streamed`: more pairs than that;
- `_points`: thresholds, and what they accept;
- `_verification`: the public function;
- `_logistic` and `_calibration`: what distances mean, to be kept.
"""

from ._calibration import Calibration as Calibration
from ._calibration import calibrate as calibrate
from ._curve import Curve as Curve
from ._result import OperatingPoint as OperatingPoint
from ._result import Verification as Verification
from ._verification import verification as verification

__all__ = [
    "Calibration",
    "Curve",
    "OperatingPoint",
    "Verification",
    "calibrate",
    "verification",
]
