"""Small pictures of items, many on a sheet, as data URIs."""

import io
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8

from ._contents import Items

SIDE = 64
COLUMNS = 32
DECODED = 256  # pictures that are in memory at full size
QUALITIES = (80, 65, 50, 35, 20, 5)
BUDGET = 8 * 2**20  # bytes of all sheets; a third more in base64


def thumbnails(
    parts: Sequence[Items], items: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n s s 3"] | None:
    """Squares of at most `SIDE` pixels of some of the items of all parts.

    None where it is not known what the items look like.
    """
    if any(part.images is None for part in parts):
        return None
    side = min(SIDE, max(part.images.shape[1] for part in parts))
    small, start = [], 0
    for part in parts:
        rows = items[(items >= start) & (items < start + len(part.labels))] - start
        for at in range(0, len(rows), DECODED):
            some = part.images[rows[at : at + DECODED]]
            small += [_resized(image, side) for image in some]
        start += len(part.labels)
    return np.stack(small)


def _resized(image: UInt8[np.ndarray, "h h 3"], side: int) -> np.ndarray:
    from PIL import Image

    if len(image) == side:
        return image
    picture = Image.fromarray(image).resize((side, side), Image.Resampling.BOX)
    return np.asarray(picture)


def sheets(small: UInt8[np.ndarray, "n s s 3"] | None) -> list[str]:
    """WebP sheets of `COLUMNS` by `COLUMNS` pictures, within the budget if they can."""
    if small is None:
        return []
    parts = [small[at : at + COLUMNS**2] for at in range(0, len(small), COLUMNS**2)]
    grids = [_grid(part) for part in parts]
    for quality in QUALITIES:
        encoded = [_webp(grid, quality) for grid in grids]
        if sum(map(len, encoded)) <= BUDGET:
            break
    return ["data:image/webp;base64," + b64encode(e).decode() for e in encoded]


def _grid(part: UInt8[np.ndarray, "n s s 3"]) -> UInt8[np.ndarray, "h w 3"]:
    side, rows = part.shape[1], -(-len(part) // COLUMNS)
    grid = np.zeros((rows * COLUMNS, side, side, 3), np.uint8)
    grid[: len(part)] = part
    grid = grid.reshape(rows, COLUMNS, side, side, 3).swapaxes(1, 2)
    return grid.reshape(rows * side, COLUMNS * side, 3)


def _webp(grid: UInt8[np.ndarray, "h w 3"], quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(grid).save(file, "webp", quality=quality, method=2)
    return file.getvalue()
