"""Which characters look the same, found by comparing drawings of them."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int, UInt8

# Drawings of look-alikes differ in at most this share of their ink. The pairs below it
# have the same outline or nearly (a breve and a caron in bold); the next ones above it
# differ by a dot.
TOLERANCE = 0.01
ROWS = 64  # drawings compared with others at once
POOL = 10  # pixels, down and across, that are averaged for a first comparison


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
    same = np.eye(n, dtype=bool)
    for style in drawings:
        for a, b in _same(style):
            same[a, b] = same[b, a] = True
    first = np.arange(n)
    while True:  # the smallest index travels along the chains
        smallest = np.where(same, first[None, :], n).min(axis=1)
        if (smallest == first).all():
            return first
        first = smallest


def _same(style: UInt8[np.ndarray, "n side side"]) -> Iterator[tuple[int, int]]:
    """The pairs within the tolerance.

    The lengths of a pair differ by no more than a drawing from the other, so drawings
    in order of their ink are compared with a few of the next ones. Distances of pooled
    drawings are no larger than those of the drawings, so they rule out most pairs
    quickly and no look-alikes. The others are compared pixel by pixel.
    """
    pixels = style.reshape(len(style), -1)
    norms = np.square(pixels, dtype=np.float32).sum(axis=1)
    order = np.argsort(norms, kind="stable")
    pixels, norms, pooled = pixels[order], norms[order], _pooled(style[order])
    limits = TOLERANCE * norms  # of a pair, that of the one with more ink
    short = np.square(pooled).sum(axis=1)
    # Here and below, float32 may have rounded up.
    most_ink = 1.001 * norms / (1 - TOLERANCE**0.5) ** 2
    ends = np.searchsorted(norms, most_ink, side="right")
    for at in range(0, len(style), ROWS):
        rows = slice(at, at + ROWS)
        others = slice(at, ends[rows].max())
        # Not by BLAS, whose threads would wait for the cores on which XLA compiles.
        products = np.einsum("ik,jk->ij", pooled[rows], pooled[others])
        near = short[rows, None] + short[others] - 2 * products
        candidates = np.triu(near <= 1.001 * limits[others] + 1, 1)
        for a, b in zip(*(at + np.array(np.nonzero(candidates))), strict=True):
            difference = pixels[a].astype(np.float32) - pixels[b]
            if difference @ difference <= limits[b]:
                yield int(order[a]), int(order[b])


def _pooled(style: UInt8[np.ndarray, "n side side"]) -> Float[np.ndarray, "n d"]:
    """Sums over POOL x POOL pixels, scaled so that no distance grows."""
    margin = -style.shape[1] % POOL
    padded = np.pad(style, [(0, 0), (0, margin), (0, margin)])
    n, side, _ = padded.shape
    tiles = side // POOL
    down = padded.reshape(n, tiles, POOL, side).sum(axis=2, dtype=np.uint16)
    sums = down.reshape(n, tiles, tiles, POOL).sum(axis=3, dtype=np.uint16)
    return sums.reshape(n, -1) / np.float32(POOL)
