"""From image files to arrays of uint8."""

from ._decode import decode as decode
from ._image_file import BadImageError as BadImageError
from ._image_file import read_square as read_square
from ._image_file import readable_extensions as readable_extensions

__all__ = ["BadImageError", "decode", "read_square", "readable_extensions"]
