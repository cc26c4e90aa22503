"""From image files to arrays of uint8."""

from ._decode import decode as decode
from ._image_file import readable_extensions as readable_extensions

__all__ = ["decode", "readable_extensions"]
