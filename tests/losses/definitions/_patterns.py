"""Batches with the label patterns that losses treat differently."""

import numpy as np

SIZE, DIM = 24, 8
RNG = np.random.default_rng(0)
PATTERNS = {
    "4 a class": np.arange(SIZE) // 4,
    "random": RNG.integers(0, 5, SIZE),
    "some alone": np.r_[np.arange(SIZE - 12), np.repeat([100, 101, 102], 4)],
    "one class and one other": np.r_[np.zeros(SIZE - 1, int), 1],
    "two views": np.tile(np.arange(SIZE // 2), 2),
}


def make_batch(labels, seed=1):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(200, DIM))
    return centres[labels] + 0.7 * rng.normal(size=(len(labels), DIM))
