"""Small pictures for a page, made of files or of pixels, whatever those are."""

import io
import os
import stat
import warnings
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8

from jml.errors import reason_of

SIDE = 128  # pixels of the longer side, at most
QUALITY = 80
Pixels = UInt8[np.ndarray, "h w 3"]
# A file, or pixels, or what gives these once they are needed.
Image = str | os.PathLike | Pixels | Callable[[], Pixels]


def small_picture(image: Image) -> str:
    """A JPEG of at most `SIDE` by `SIDE` pixels, as a data URI.

    Raises:
        ValueError: the image cannot be read; says why.
    """
    from PIL import Image as Pillow

    try:
        if callable(image):
            image = image()
        if isinstance(image, np.ndarray):
            small = Pillow.fromarray(image)
            small.thumbnail((SIDE, SIDE))
        else:
            small = _read(image)
        file = io.BytesIO()
        small.save(file, "jpeg", quality=QUALITY)
    except Exception as error:  # decoders raise many kinds, all about this file
        raise ValueError(_reason(error)) from None
    return "data:image/jpeg;base64," + b64encode(file.getvalue()).decode()


def _reason(error: Exception) -> str:
    """Why, without the path, which stands beside the picture."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "no image that Pillow knows"
    return getattr(error, "strerror", None) or reason_of(error)


def _read(path: str | os.PathLike) -> Any:
    """An upright RGB picture, of the proportions of the file's."""
    from PIL import Image as Pillow
    from PIL import ImageOps

    # A pipe or a device could block for ever.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError("not a file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large pictures, and of odd metadata
        with Pillow.open(path) as image:
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG is decoded smaller
            small = _eight_bits(image)
            small.thumbnail((SIDE, SIDE))
            return _on_white(ImageOps.exif_transpose(small))


def _eight_bits(image: Any) -> Any:
    """Samples of more bits as grey levels, the darkest black and the brightest white.

    It is for looking alone: a network gets them by the range that the file declares.
    """
    from PIL import Image as Pillow

    if image.mode[0] not in "IF":
        return image
    samples = np.asarray(image, np.float64)
    low, high = np.nanmin(samples), np.nanmax(samples)
    levels = np.nan_to_num((samples - low) * (255 / max(high - low, 1e-300)))
    return Pillow.fromarray(levels.astype(np.uint8))


def _on_white(image: Any) -> Any:
    from PIL import Image as Pillow

    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Pillow.new("RGBA", image.size, "white")
        image = Pillow.alpha_composite(paper, image)
    return image.convert("RGB")
