"""Small images of items, many on a sheet, as data URIs."""

import io
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, UInt8

from ._contents import EmbeddedImages

SIDE = 64
COLUMNS = 32
DECODED = 256  # images that are in memory at full size
QUALITIES = (80, 65, 50, 35, 20, 5)
BUDGET = 8 * 2**20  # bytes of all sheets, before base64 adds a third


def thumbnails(
    sides: Sequence[EmbeddedImages], items: Int[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n s s 3"] | None:
    """Squares of at most `SIDE` pixels; None where a side's images are unknown.

    Args:
        sides: the queries and the gallery, or the queries alone.
        items: which items, numbered through, in ascending order.
    """
    if any(side.images is None for side in sides):
        return None
    pixels = min(SIDE, max(side.images.shape[1] for side in sides))
    small, start = [], 0
    for side in sides:
        rows = items[(items >= start) & (items < start + len(side.labels))] - start
        for at in range(0, len(rows), DECODED):
            images = side.images[rows[at : at + DECODED]]
            small += [_resized(image, pixels) for image in images]
        start += len(side.labels)
    return np.stack(small)


def _resized(image: UInt8[np.ndarray, "h h 3"], pixels: int) -> np.ndarray:
    from PIL import Image

    if len(image) == pixels:
        return image
    size = pixels, pixels
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def sheets(small: UInt8[np.ndarray, "n s s 3"] | None) -> list[str]:
    """WebP sheets of `COLUMNS` by `COLUMNS` images, as data URIs.

    The quality is the best that keeps to the budget, or the lowest.
    """
    if small is None:
        return []
    parts = [small[at : at + COLUMNS**2] for at in range(0, len(small), COLUMNS**2)]
    grids, encoded = [_grid(part) for part in parts], []
    for quality in QUALITIES:
        encoded = []
        for grid in grids:
            encoded.append(_webp(grid, quality))
            if sum(map(len, encoded)) > BUDGET and quality != QUALITIES[-1]:
                break  # the other sheets need not be tried at this quality
        else:
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
