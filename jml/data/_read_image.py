"""One image from anywhere, as the squares that networks are evaluated on."""

import os

import numpy as np
from jaxtyping import UInt8

from jml._checks import check_count
from jml._names import quoted
from jml._value_checks import check_path, described

from ._decoding import BadImageError, read_square
from ._sources import File
from ._types import ImageSource


def read_image(
    image: str | os.PathLike | np.ndarray | ImageSource, *, image_size: int
) -> UInt8[np.ndarray, "s s 3"]:
    """Makes a square of an image, as ``decode`` makes them of the images of a listing.

    A file is decoded, turned upright, made RGB and resized to the square by Pillow's
    bilinear filter with antialiasing; the aspect ratio is not kept.

    Args:
        image: path of a file; an encoded image, as a ``Listing`` has them; or pixels,
            RGB in uint8 [h, w, 3], which are resized likewise. A square of this side
            is returned as it is.
        image_size: side of the square.

    Raises:
        BadImageError: the file is missing, or it is no image that can be read.
        ValueError: `image` is nothing of that, or `image_size` is no positive integer.

    Example:
        >>> read_image(np.zeros((48, 64, 3), np.uint8), image_size=32).shape
        (32, 32, 3)
    """
    check_count("read_image", "image_size", image_size)
    if isinstance(image, np.ndarray):
        return _square(image, image_size)
    if isinstance(image, str | os.PathLike):
        path = os.fspath(check_path("read_image", "image", image))
        source: ImageSource = File(path)
    elif hasattr(image, "read") and hasattr(image, "name"):
        source = image
    else:
        raise ValueError(
            "read_image: `image` must be a path, uint8 [h, w, 3] or an image of a"
            f" listing, got {described(image)}"
        )
    try:
        return read_square(source, image_size)
    except BadImageError as error:
        raise BadImageError(
            f"`image`: cannot read the image {quoted(source.name)}: {error.reason};"
            " fix it, or leave it out.",
            error.reason,
        ) from None


def _square(
    pixels: UInt8[np.ndarray, "h w 3"], side: int
) -> UInt8[np.ndarray, "s s 3"]:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(
            "read_image: `image` must be uint8 [h, w, 3], got"
            f" {pixels.dtype} {pixels.shape}"
        )
    if pixels.shape[:2] == (side, side):
        return pixels
    if not pixels.size:
        raise ValueError(f"read_image: `image` has no pixels: {pixels.shape}")
    from PIL import Image

    resized = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized)
