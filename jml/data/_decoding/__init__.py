"""From image files to arrays of uint8."""

from ._decode import decode as decode

__all__ = ["decode"]
