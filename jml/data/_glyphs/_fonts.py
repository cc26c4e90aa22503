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
SHEET = 256  # characters drawn on one image, below each other
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
    from PIL import Image

    font = _Font(file, side)
    squares = np.empty((len(code_points), side, side), np.uint8)
    for at in range(0, len(squares), SHEET):
        part = code_points[at : at + SHEET]
        sheet = Image.new("L", (side, len(part) * side))
        paste = sheet.im.paste
        for number, code_point in enumerate(part):
            ink, x, y = font.placed(chr(code_point))
            y += number * side
            if ink is not None:
                width, height = ink.size
                paste(ink, (x, y, x + width, y + height))
        squares[at : at + SHEET] = np.asarray(sheet).reshape(-1, side, side)
    return squares


class _Font:
    """One font, to draw characters in squares of one side."""

    def __init__(self, file: Path, side: int) -> None:
        self.file, self.side, self.middle = file, side, side / 2
        # From the middle to the baseline.
        self.drop = side * BASELINE / FRAME - self.middle
        self.sizes: dict[float, Any] = {}  # by scale

    def placed(self, text: str) -> tuple[Any, int, int]:
        """The ink of a character, or None, and where it stands in its square."""
        middle, drop = self.middle, self.drop
        ink, top = self.ink(text, 1.0)
        if ink is None:
            return None, 0, 0
        width, height = ink.size
        reach = max(-(drop + top), drop + top + height, width / 2)
        if reach > middle:
            scale = int(STEPS * (middle - 1) / reach) / STEPS
            ink, top = self.ink(text, scale)
            width, height = (0, 0) if ink is None else ink.size
            top += drop * (scale - 1)
        # Hinting may draw a pixel more than the scale promises.
        y = min(max(round(middle + drop + top), 0), self.side - height)
        return ink, round(middle - width / 2), y

    def ink(self, text: str, scale: float) -> tuple[Any, int]:
        """The ink of a text, or None, and its distance below the baseline.

        The ink is an image of Pillow's core, as ``getmask2`` returns it: to make a
        ``PIL.Image`` of it would take as long as drawing.
        """
        if scale not in self.sizes:
            from PIL import ImageFont

            # The basic layout: one glyph for one character, with or without Raqm.
            basic = ImageFont.Layout.BASIC
            em = self.side / FRAME * scale
            self.sizes[scale] = ImageFont.truetype(self.file, em, layout_engine=basic)
        mask, (_, top) = self.sizes[scale].getmask2(text, mode="L", anchor="ls")
        box = mask.getbbox()
        return (None, 0) if box is None else (mask.crop(box), top + box[1])
