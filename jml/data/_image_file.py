"""One image file, whatever its kind, as a square of RGB."""

from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from jml.errors import UserError


@cache
def readable_extensions() -> frozenset[str]:
    """Extensions, in lower case, of the formats that Pillow can open.

    Raises:
        UserError: Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError:
        raise UserError(
            "--dataroot: images are read by Pillow, which is not installed; run:"
            ' pip install "jml[train]"'
        ) from None
    extensions = Image.registered_extensions()
    return frozenset(name for name, kind in extensions.items() if kind in Image.OPEN)


def read_square(path: Path, side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Decodes an image, turns it upright, makes it RGB, resizes it to a square.

    Raises:
        UserError: the file cannot be read; names it.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            square = _rgb(upright).resize((side, side), Image.Resampling.BILINEAR)
    except UnidentifiedImageError:
        reason = "its content is no image that Pillow knows"
    except Image.DecompressionBombError:
        reason = f"it has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels"
    except Exception as error:  # decoders raise many kinds, all about this file
        reason = " ".join(str(error).split()) or type(error).__name__
    else:
        return np.asarray(square)
    raise UserError(
        f"--dataroot: cannot read the image {str(path)!r}: {reason}; mend the file or"
        " remove it."
    )


def _rgb(image):
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits, of which Pillow would clip the upper
        levels = np.asarray(image) // 256
        image = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image)
    return image.convert("RGB")
