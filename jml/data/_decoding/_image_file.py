"""One encoded image, whatever its kind, as a square of RGB."""

import io
import threading
from contextlib import suppress
from functools import cache
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import UInt8

from jml._names import quoted
from jml._optional import need
from jml._regular_files import open_regular
from jml.data._types import ImageSource
from jml.errors import UserError

from ._sample_range import kind_of_tiff, samples_of, to_levels


class BadImageError(UserError):
    """An image that cannot be read."""

    def __init__(self, message: str, reason: str = "") -> None:
        """Takes the line for the user, and the part of it that says why."""
        super().__init__(message)
        self.reason = reason


@cache
def readable_extensions() -> frozenset[str]:
    """Extensions, in lower case, of the formats that Pillow can open.

    Raises:
        UserError: Pillow is missing.
    """
    need_pillow()
    from PIL import Image

    extensions = Image.registered_extensions()
    return frozenset(name for name, kind in extensions.items() if kind in Image.OPEN)


def need_pillow() -> None:
    """Raises a ``UserError`` if Pillow is missing."""
    need("reading images", "PIL")


class Square(NamedTuple):
    """A decoded image.

    It is dark, nearly black, if it has 16 bits, no declared range, and no value above
    4,095.
    """

    pixels: UInt8[np.ndarray, "side side 3"]
    dark: bool = False


def read_square(source: ImageSource, side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Decodes an image, turns it upright, makes it RGB, resizes it to a square.

    The aspect ratio is not kept. The resize is Pillow's: bilinear with antialiasing.
    Samples of more than 8 bits become grey levels by the range that a TIFF declares;
    16-bit integers without one go from 0 to 65,535.

    Raises:
        BadImageError: the image cannot be read, or it holds floats or 32-bit integers
            without a declared range; names it.
    """
    return decode_square(source, side).pixels


def decode_square(source: ImageSource, side: int) -> Square:
    """Does the same as ``read_square``, and finds whether the image is dark."""
    need_pillow()
    from PIL import Image, ImageOps, UnidentifiedImageError

    data = b""
    try:
        data = source.read()
        with Image.open(io.BytesIO(data)) as image:
            fast = _fast_square(data, image, side)
            if fast is not None:
                return Square(fast)
            samples, dark = samples_of(image), False  # loading clears image.tile
            upright = ImageOps.exif_transpose(image)
            if samples is not None:
                upright, dark = to_levels(upright, samples)
            square = _rgb(upright).resize((side, side), Image.Resampling.BILINEAR)
            return Square(np.asarray(square), dark)
    except UnidentifiedImageError:
        reason = "its content is no image that Pillow knows"
        with suppress(Exception):  # the TIFF may be damaged
            if kind := kind_of_tiff(data):
                reason = (
                    f"it is {kind}, which Pillow does not read; save it with 8 bits"
                )
    except Image.DecompressionBombError:
        reason = f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels"
    except Exception as error:  # decoders raise many kinds, all about this file
        text = getattr(error, "strerror", None) or str(error)
        reason = " ".join(text.split()) or type(error).__name__
    raise BadImageError(
        f"`listing`: cannot read the image {quoted(source.name)}: {reason}; fix or"
        " remove it, or pass `skip_bad=True`.",
        reason,
    )


def is_dark(source: ImageSource) -> bool:
    """Whether ``decode_square`` finds an image dark.

    Most headers rule that out, so few images are decoded. An image that cannot be read
    is not dark here; ``read_square`` raises its error.
    """
    from PIL import Image

    with suppress(Exception), _opened(source) as stream:
        if stream.read(2) == b"\xff\xd8":  # a JPEG, which has 8 bits
            return False
        stream.seek(0)
        with Image.open(stream) as image:
            samples = samples_of(image)
            if samples is not None and samples.may_be_dark:
                return to_levels(image, samples)[1]
    return False


def _opened(source: ImageSource) -> BinaryIO:
    path = getattr(source, "path", None)  # a file need not be read whole
    return io.BytesIO(source.read()) if path is None else open_regular(path)


def _rgb(image: Any) -> Any:
    from PIL import Image

    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")


@cache
def fast_decoders() -> bool:
    """Whether the extra ``fast`` is installed."""
    try:
        import cykooz_resizer  # noqa: F401
        import simplejpeg  # noqa: F401
    except ImportError:
        return False
    return True


_resizers = threading.local()  # one a thread; it reuses its memory


def _fast_square(
    data: bytes, image: Any, side: int
) -> UInt8[np.ndarray, "s s 3"] | None:
    """Decodes a plain upright JPEG in half the time; None for other images.

    libjpeg-turbo's pixels equal Pillow's, bit for bit. As Pillow, this resizes across,
    rounds, and resizes down. One value of 500 differs from Pillow's, by one.
    """
    upright = 1
    if (
        image.format != "JPEG"
        or image.mode not in ("RGB", "L")
        or not fast_decoders()
        or image.getexif().get(0x0112, upright) != upright
    ):
        return None
    import simplejpeg
    from cykooz_resizer import (
        FilterType,
        ImageData,
        PixelType,
        ResizeAlg,
        ResizeOptions,
        Resizer,
    )

    try:
        pixels = simplejpeg.decode_jpeg(data)
    except ValueError:
        return None  # Pillow reads it, or raises a better error
    if not hasattr(_resizers, "resizer"):
        _resizers.resizer = Resizer()
        bilinear = ResizeAlg.convolution(FilterType.bilinear)
        _resizers.options = ResizeOptions(resize_alg=bilinear, use_alpha=False)
    height, width, _ = pixels.shape
    last = ImageData(width, height, PixelType.U8x3, pixels.tobytes())
    for size in ((side, height), (side, side)):
        smaller = ImageData(*size, PixelType.U8x3)
        _resizers.resizer.resize(last, smaller, _resizers.options)
        last = smaller
    return np.frombuffer(last.get_buffer(), np.uint8).reshape(side, side, 3)
