"""The DejaVu fonts that matplotlib ships, and what their characters look like."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from jml._optional import need
from jml.errors import UserError

# Each file is one style. The order is part of the data set: it numbers the images.
STYLES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
)
FRAME = 1.2  # side of the square that is drawn, in em
BASELINE = 0.93  # where the baseline lies in it, in em from the top
# Box drawing and block elements tile a grid: many of them differ by an eighth of a
# cell, less than the position varies here.
TILES = range(0x2500, 0x25A0)
# Characters that one of the fonts draws as another: T, U, W in superscript as S, T, U
# (Serif Bold), two pairs of Cyrillic letters swapped (Mono Oblique), and an Iota that
# lacks its breve.
MISDRAWN = {0x1D40, 0x1D41, 0x1D42, 0x4CB, 0x4CC, 0x4F6, 0x4F7, 0x1FD8}
STEPS = 16  # a character too large for the square shrinks to k / STEPS of its size


def font_files() -> tuple[Path, ...]:
    """Paths of the 12 fonts, in the order of ``STYLES``.

    Raises:
        UserError: matplotlib or one of the fonts is missing.
    """
    need("drawing glyphs", "matplotlib", "PIL", "fontTools")
    import matplotlib

    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    files = tuple(folder / f"{style}.ttf" for style in STYLES)
    for file in files:
        if not file.is_file():
            raise UserError(
                f"drawing glyphs needs the font {file}, which is missing; run:"
                " pip install --force-reinstall matplotlib"
            )
    return files


def shared_code_points(files: Sequence[Path]) -> list[int]:
    """Code points that every font maps to a glyph, less ``TILES`` and ``MISDRAWN``."""
    from fontTools.ttLib import TTFont  # matplotlib depends on it

    maps = []
    for file in files:
        with TTFont(file, lazy=True) as font:
            # Numbers stand in for the glyphs' names, which take long to read.
            font.setGlyphOrder(list(map(str, range(font["maxp"].numGlyphs))))
            maps.append(set(font.getBestCmap() or ()))
    return sorted(set.intersection(*maps).difference(TILES, MISDRAWN))


def draw(
    file: Path, code_points: Sequence[int] | np.ndarray, side: int
) -> UInt8[np.ndarray, "n side side"]:
    """Draws characters on their line, each in a square of `side` pixels, ink 255.

    All squares have the same baseline and em, so that a hyphen differs from an
    underscore and a small o from a capital O. Sideways, the ink is in the middle. The
    few characters that reach beyond the square are drawn smaller, about its middle.
    """
    sizes = _Sizes(file, side / FRAME)
    middle = side / 2
    drop = side * BASELINE / FRAME - middle  # from the middle to the baseline
    squares = np.zeros((len(code_points), side, side), np.uint8)
    for square, code_point in zip(squares, code_points, strict=True):
        ink, top = sizes.ink(chr(code_point), 1.0)
        reach = max(-(drop + top), drop + top + len(ink), ink.shape[1] / 2)
        if reach > middle:
            scale = int(STEPS * (middle - 1) / reach) / STEPS
            ink, top = sizes.ink(chr(code_point), scale)
            top += drop * (scale - 1)
        # Hinting may draw a pixel more than the scale promises.
        y = min(max(round(middle + drop + top), 0), side - len(ink))
        x = round(middle - ink.shape[1] / 2)
        square[y : y + ink.shape[0], x : x + ink.shape[1]] = ink
    return squares


class _Sizes:
    """One font at the few sizes that are needed."""

    def __init__(self, file: Path, em: float) -> None:
        self.file, self.em = file, em
        self.fonts: dict[float, Any] = {}

    def ink(self, text: str, scale: float) -> tuple[np.ndarray, int]:
        """The ink of a text, and its distance below the baseline; it may be empty."""
        if scale not in self.fonts:
            from PIL import ImageFont

            # The basic layout: one glyph for one character, with or without Raqm.
            basic = ImageFont.Layout.BASIC
            self.fonts[scale] = ImageFont.truetype(
                self.file, self.em * scale, layout_engine=basic
            )
        mask, (_, top) = self.fonts[scale].getmask2(text, mode="L", anchor="ls")
        width, height = mask.size
        box = mask.getbbox()
        if box is None:
            return np.zeros((0, 0), np.uint8), 0
        pixels = np.frombuffer(bytes(mask), np.uint8).reshape(height, width)
        return pixels[box[1] : box[3], box[0] : box[2]], top + box[1]
