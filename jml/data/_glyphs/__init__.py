"""Glyphs: a data set drawn from fonts, which needs no download."""

from ._glyphs import glyphs as glyphs

__all__ = ["glyphs"]
