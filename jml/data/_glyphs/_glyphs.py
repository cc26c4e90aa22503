"""The built-in data set: characters in 12 styles, drawn when it is loaded."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from jml._value_checks import check_integer
from jml.data._types import Dataset, Split
from jml.errors import UserError

from ._fonts import draw, font_files, shared_code_points
from ._lookalikes import lookalike_classes

# How far the images vary. The largest small o stays smaller than the smallest capital
# O, and a hyphen above an underscore: what tells characters apart survives.
SHIFT = 0.07  # share of the side, in both directions
SCALE = (0.86, 1.06)
STRETCH = 1.06  # ratio of width to height, or the reverse
ROTATION = 15.0  # degrees
SHEAR = 0.15  # sideways, per unit of height
INK, PAPER = (0.0, 0.4), (0.55, 1.0)  # brightness
NOISE = (0.0, 0.05)  # standard deviation, in brightness
SMALLEST = 16  # side of the smallest image that still shows an accent


def glyphs(*, image_size: int, seed: int = 0) -> Dataset:
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

    Returns:
        The data set, in grey. Training classes have the labels from 0, test classes
        those after; the name of a class is the characters in it. Another version of
        FreeType may draw other grey levels.

    Raises:
        UserError: matplotlib or Pillow is missing, or the images are too small.
    """
    check_integer("glyphs", "image_size", image_size, least=None)
    check_integer("glyphs", "seed", seed)
    if image_size < SMALLEST:
        raise UserError(
            f"`image_size`: {image_size} is too small for glyphs; pass {SMALLEST} or"
            " more."
        )
    files = font_files()
    code_points, classes = _characters(files)
    testing = np.array([_is_for_testing(c) for c in classes.tolist()])
    names: list[str] = []

    def split(number: int, chosen: Bool[np.ndarray, " n"]) -> Split:
        characters, of_class = code_points[chosen], classes[chosen]
        rng = np.random.default_rng([seed, number])
        images = _images(files, characters, image_size, rng)
        distinct, labels = np.unique(of_class, return_inverse=True)
        labels = (labels + len(names)).astype(np.int32)
        names.extend("".join(map(chr, characters[of_class == c])) for c in distinct)
        return Split(images, np.tile(labels, len(files)))

    train, test = split(0, ~testing), split(1, testing)
    return Dataset("glyphs", train, test, None, tuple(names))


def _characters(
    files: Sequence[Path],
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The visible code points and, for each, the first code point of its class."""
    code_points = np.array(shared_code_points(files))
    drawings = np.stack([draw(file, code_points, side=60) for file in files])
    visible = (drawings.max(axis=(2, 3)) >= 128).all(axis=0)
    code_points, drawings = code_points[visible], drawings[:, visible]
    return code_points, code_points[lookalike_classes(drawings)]


def _is_for_testing(code_point: int) -> bool:
    return sha256(chr(code_point).encode()).digest()[0] % 2 == 1


def _images(
    files: Sequence[Path],
    code_points: Int[np.ndarray, " c"],
    side: int,
    rng: np.random.Generator,
) -> UInt8[np.ndarray, "n side side 3"]:
    """One image of every character in every style, style by style."""
    images = np.empty((len(files), len(code_points), side, side, 3), np.uint8)
    for file, style in zip(files, images, strict=True):
        grey = _paint(_distort(draw(file, code_points, 2 * side), rng), rng)
        style[...] = grey[..., None]
    return images.reshape(-1, side, side, 3)


def _distort(
    drawings: UInt8[np.ndarray, "n 2s 2s"], rng: np.random.Generator
) -> UInt8[np.ndarray, "n s s"]:
    """Moves, scales, rotates and shears drawings, and halves their side."""
    from PIL import Image

    n, side = len(drawings), drawings.shape[1] // 2
    maps = _affine_maps(n, side, rng)
    out = np.empty((n, side, side), np.uint8)
    for i in range(n):
        image = Image.fromarray(drawings[i]).transform(
            (side, side),
            Image.Transform.AFFINE,
            maps[i].tolist(),
            resample=Image.Resampling.BILINEAR,
        )
        out[i] = np.asarray(image)
    return out


def _affine_maps(
    n: int, side: int, rng: np.random.Generator
) -> Float[np.ndarray, "n 6"]:
    """Random maps for Pillow: from a pixel of an image to its place in the drawing.

    Images have `side` pixels, drawings twice as many.
    """
    angle = np.radians(rng.uniform(-ROTATION, ROTATION, n))
    cosine, sine = np.cos(angle), np.sin(angle)
    shear = rng.uniform(-SHEAR, SHEAR, n)
    low, high = np.log(SCALE)
    scale = np.exp(rng.uniform(low, high, n))
    stretch = STRETCH ** rng.uniform(-0.5, 0.5, n)
    # The inverse of scale, then shear, then rotation, times 2 for the larger drawing.
    across, down = 2 / (scale * stretch), 2 * stretch / scale
    linear = np.empty((n, 2, 2))
    linear[:, 0, 0] = across * (cosine - shear * sine)
    linear[:, 0, 1] = across * (sine + shear * cosine)
    linear[:, 1, 0] = -down * sine
    linear[:, 1, 1] = down * cosine
    middle = side * (0.5 + rng.uniform(-SHIFT, SHIFT, (n, 2)))
    offset = side - np.einsum("nij,nj->ni", linear, middle)
    return np.concatenate([linear, offset[:, :, None]], axis=2).reshape(n, 6)


def _paint(
    ink: UInt8[np.ndarray, "n s s"], rng: np.random.Generator
) -> UInt8[np.ndarray, "n s s"]:
    """Turns drawings into dark ink on light paper, with noise."""
    n, side, _ = ink.shape
    dark, light, strength = (
        rng.uniform(*limits, (n, 1, 1)).astype(np.float32)
        for limits in (INK, PAPER, NOISE)
    )
    images = ink * ((dark - light) / 255) + light
    images += strength * rng.standard_normal((n, side, side), np.float32)
    images *= 255
    return np.rint(images.clip(0, 255, out=images), out=images).astype(np.uint8)
