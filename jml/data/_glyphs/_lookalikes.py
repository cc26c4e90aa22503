"""Which characters look the same, found by comparing drawings of them."""

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

# Drawings of look-alikes differ in at most this share of their ink. The pairs below it
# have the same outline or nearly (a breve and a caron in bold); the next ones above it
# differ by a dot.
TOLERANCE = 0.01
POOL = 4  # pixels, down and across, that are averaged for a first comparison


def lookalike_classes(
    drawings: UInt8[np.ndarray, "styles n side side"],
) -> Int[np.ndarray, " n"]:
    r"""Numbers the classes of characters that look the same.

    Two characters look the same if, in at least one style, their drawings $a$ and $b$
    have $|a - b|^2 \le$ 0.01 $\cdot \max(|a|^2, |b|^2)$. One style is enough: the
    two images in it cannot be told apart, so two labels for them would be wrong. A
    class is all characters that chains of such pairs connect.

    Returns:
        For each character the smallest index in its class.
    """
    n = drawings.shape[1]
    same = np.zeros((n, n), bool)
    for style in drawings:
        same |= _same(style.reshape(n, -1), _pooled(style))
    first = np.arange(n)
    while True:  # the smallest index travels along the chains
        smallest = np.where(same, first[None, :], n).min(axis=1)
        if (smallest == first).all():
            return first
        first = smallest


def _pooled(style: UInt8[np.ndarray, "n side side"]) -> Float[np.ndarray, "n d"]:
    """Sums over POOL x POOL pixels, scaled so that no distance grows."""
    n, side, _ = style.shape
    tiles = style.reshape(n, side // POOL, POOL, side // POOL, POOL)
    sums = tiles.sum(axis=4, dtype=np.uint16).sum(axis=2)
    return sums.reshape(n, -1) / np.float32(POOL)


def _same(
    pixels: UInt8[np.ndarray, "n p"], pooled: Float[np.ndarray, "n d"]
) -> Bool[np.ndarray, "n n"]:
    """The pairs within the tolerance.

    Distances of pooled drawings are no larger than those of the drawings, so they rule
    out most pairs quickly and no look-alikes. The others are compared pixel by pixel.
    """
    norms = np.array([np.square(row, dtype=np.float32).sum() for row in pixels])
    limit = TOLERANCE * np.maximum(norms[:, None], norms)
    short = np.square(pooled).sum(axis=1)
    near = short[:, None] + short - 2 * pooled @ pooled.T
    same = near <= 1.001 * limit + 1  # float32 may have rounded up
    for a, b in zip(*np.nonzero(same), strict=True):
        difference = pixels[a].astype(np.float32) - pixels[b]
        same[a, b] = difference @ difference <= limit[a, b]
    return same
