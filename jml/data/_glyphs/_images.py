"""Images of characters: drawings that are moved, distorted and painted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from ._fonts import draw

# How far the images vary. The largest small o stays smaller than the smallest capital
# O, and a hyphen above an underscore: what tells characters apart survives.
SHIFT = 0.07  # share of the side, in both directions
SCALE = (0.86, 1.06)
STRETCH = 1.06  # ratio of width to height, or the reverse
ROTATION = 15.0  # degrees
SHEAR = 0.15  # sideways, per unit of height
INK, PAPER = (0.0, 0.4), (0.55, 1.0)  # brightness
NOISE = (0.0, 0.05)  # standard deviation, in brightness


def images_of(
    files: Sequence[Path],
    code_points: Int[np.ndarray, " c"],
    side: int,
    rng: np.random.Generator,
) -> UInt8[np.ndarray, "n side side"]:
    """One image of every character in every style, style by style."""
    images = np.empty((len(files), len(code_points), side, side), np.uint8)
    for file, style in zip(files, images, strict=True):
        style[...] = _paint(_distort(draw(file, code_points, 2 * side), rng), rng)
    return images.reshape(-1, side, side)


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
