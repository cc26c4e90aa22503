"""What ``jml.evaluation.evaluate`` takes; the flags of ``jml evaluate`` take the same.

Only the standard library is imported here: a wrong flag is reported before JAX loads.
"""

METRICS = ("euclidean", "cosine")
CLUSTERINGS = 5  # k-means runs by default, where they do not take long
MOST_REPEATS = 10**6  # clusterings, or bootstrap samples
LARGEST_SEED = 2**31 - 1


def largest_first_seed(clusterings: int) -> int:
    """The largest `seed` of ``evaluate``: each clustering takes a seed of its own."""
    return LARGEST_SEED - clusterings
