"""The built-in data set: characters in 12 styles, drawn when it is first loaded."""

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from jml._checks import check_choice
from jml._user_cache import user_cache_folder
from jml._value_checks import check_integer, check_path
from jml.data._types import Dataset, Split
from jml.errors import UserError

from ._fonts import draw, font_files, shared_code_points
from ._images import images_of
from ._kept import Drawn, read_or_draw
from ._lookalikes import lookalike_classes

SMALLEST = 16  # side of the smallest image that still shows an accent


def glyphs(
    *,
    image_size: int,
    seed: int = 0,
    cache: str = "disk",
    cache_folder: str | os.PathLike | None = None,
) -> Dataset:
    """Draws some 26,000 images of characters in about 1,970 classes.

    The characters are the code points that all 12 DejaVu fonts in matplotlib draw with
    visible ink: letters of several scripts, digits, punctuation, accents, arrows,
    mathematics and symbols. Box drawing and block elements, which only tile a grid, are
    left out, and so are the eight that one of the fonts draws as another character.
    Every character gives one image per font. Characters that look the same in a font
    (Latin A, Greek Alpha, Cyrillic A) are one class, so a class has 12 images or a
    multiple of 12.

    An image shows its character on the line: baseline and em keep their places, so that
    position and size tell a hyphen from an underscore and o from O. Within that,
    position, scale, rotation, shear, brightness and noise vary.

    Half of the classes are for training, half for testing. A hash of the class's first
    code point decides, which mixes the scripts. The first and the second half of
    Unicode would be letters against arrows and symbols.

    Args:
        image_size: side of the images.
        seed: seed of the variation; classes and split are the same for every seed.
        cache: "disk" keeps what was drawn in a file, some 26 MiB for images of 32
            pixels, which the next call with the same arguments reads in a tenth of the
            time; where it cannot be written or read, the images are drawn. "host"
            draws, and keeps nothing on disk.
        cache_folder: where those files are; by default ``jml`` in the user's cache, as
            for ``decode``.

    Returns:
        The data set, in grey. Training classes have the labels from 0, test classes
        those after; the name of a class is the characters in it. Another version of
        FreeType may draw other grey levels.

    Raises:
        UserError: matplotlib or Pillow is missing, or the images are too small.
        ValueError: an argument is of the wrong kind or out of range.
    """
    check_integer("glyphs", "image_size", image_size, least=None)
    check_integer("glyphs", "seed", seed)
    check_choice("glyphs", "cache", cache, ("disk", "host"))
    chosen = None
    if cache_folder:
        chosen = check_path("glyphs", "cache_folder", cache_folder)
    if image_size < SMALLEST:
        raise UserError(
            f"`image_size`: {image_size} is too small for glyphs; pass {SMALLEST} or"
            " more."
        )
    files = font_files()
    drawing = partial(_draw, files, image_size, seed)
    folder = None if cache == "host" else chosen or _default_folder()
    if folder is None:
        drawn = drawing()
    else:
        drawn = read_or_draw(folder, files, image_size, seed, drawing)
    testing = _testing(drawn.classes)
    names: list[str] = []

    def split(grey: np.ndarray, chosen: Bool[np.ndarray, " n"]) -> Split:
        characters, of_class = drawn.code_points[chosen], drawn.classes[chosen]
        distinct, labels = np.unique(of_class, return_inverse=True)
        labels = (labels + len(names)).astype(np.int32)
        names.extend("".join(map(chr, characters[of_class == c])) for c in distinct)
        images = np.empty((*grey.shape, 3), np.uint8)
        images[...] = grey[..., None]
        return Split(images, np.tile(labels, len(files)))

    train, test = split(drawn.train, ~testing), split(drawn.test, testing)
    return Dataset("glyphs", train, test, None, tuple(names))


def _default_folder() -> Path | None:
    """The user's cache folder; None for a user without a home."""
    with suppress(RuntimeError):
        return user_cache_folder()
    return None


def _draw(files: Sequence[Path], image_size: int, seed: int) -> Drawn:
    """Draws the characters of both splits."""
    code_points, classes = _characters(files)
    testing = _testing(classes)
    train, test = (
        images_of(
            files, code_points[chosen], image_size, np.random.default_rng([seed, i])
        )
        for i, chosen in enumerate((~testing, testing))
    )
    return Drawn(code_points, classes, train, test)


def _characters(
    files: Sequence[Path],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The visible code points and, for each, the first code point of its class."""
    code_points = np.array(shared_code_points(files))
    drawings = np.stack([draw(file, code_points, side=60) for file in files])
    visible = (drawings.max(axis=(2, 3)) >= 128).all(axis=0)
    code_points, drawings = code_points[visible], drawings[:, visible]
    return code_points, code_points[lookalike_classes(drawings)]


def _testing(classes: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which characters are for testing, by the first code point of their class."""
    return np.array(
        [sha256(chr(c).encode()).digest()[0] % 2 == 1 for c in classes.tolist()]
    )
