"""How the tests compare with a reference, and what the comparisons came to."""

import numpy as np

# From (what was compared, limit) to the largest relative difference seen.
SEEN: dict[tuple[str, float], float] = {}


def assert_close(actual, expected, limit, topic=None, *, label=""):
    """Relative to the largest entry of `expected`; NaN is never close.

    With a `topic` the difference is reported at the end of the test session. A failure
    names the `label`: which of several comparisons of a test it was.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    prefix = f"{label}: " if label else ""
    assert actual.shape == expected.shape, (
        f"{prefix}shape {actual.shape}, expected {expected.shape}"
    )
    scale = np.max(np.abs(expected), initial=0)
    error = np.max(np.abs(actual - expected), initial=0) / (scale or 1)
    if topic:
        SEEN[topic, limit] = max(SEEN.get((topic, limit), 0), error)
    assert error <= limit, f"{prefix}relative difference {error:.3g}, limit {limit:g}"
