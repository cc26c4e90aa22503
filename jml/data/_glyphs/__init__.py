"""Glyphs: a data set drawn from fonts, which needs no download."""
