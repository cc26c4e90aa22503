"""Drawn characters in a file, which the next run finds again.

Drawing takes some seconds, and reading a tenth of one. The name of the file has a
digest of all that the pixels depend on, so a file is never out of date. Nothing that
goes wrong with files is an error: the characters are drawn, as without them.
"""

import hashlib
import os
import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from jml._whole_files import partial_of


class Drawn(NamedTuple):
    """The characters, their classes, and their images in grey."""

    code_points: Int[np.ndarray, " n"]
    classes: Int[np.ndarray, " n"]  # the first code point of each character's class
    train: UInt8[np.ndarray, "a s s"]
    test: UInt8[np.ndarray, "b s s"]


def read_or_draw(
    folder: Path,
    files: Sequence[Path],
    image_size: int,
    seed: int,
    draw: Callable[[], Drawn],
) -> Drawn:
    """Reads what these fonts and settings gave before, or draws it and writes it.

    Args:
        folder: the folder of all such files; it is made if need be.
        files: the fonts.
        image_size: side of the images.
        seed: seed of their variation.
        draw: draws the characters.
    """
    name = f"glyphs-{image_size}px-{_digest(files, image_size, seed)}.npz"
    drawn = _read(folder / name, image_size)
    if drawn is None:
        drawn = draw()
        with suppress(OSError):  # read-only or full, say: the next run draws, too
            folder.mkdir(parents=True, exist_ok=True)
            _write(folder / name, drawn)
    return drawn


def _digest(files: Sequence[Path], image_size: int, seed: int) -> str:
    """Digest of the fonts, the settings, and the programs that draw."""
    from PIL import __version__, features

    freetype, machine = features.version("freetype2"), platform.machine()
    words = int(image_size), int(seed), __version__, freetype, np.__version__, machine
    digest = hashlib.sha256(f"{words}".encode())
    sources = sorted(Path(__file__).parent.glob("*.py"))
    for file in (*files, *sources):
        content = file.read_bytes()
        digest.update(f"{file.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def _read(path: Path, image_size: int) -> Drawn | None:
    """What the file holds; None if there is none, or it is damaged.

    Each array in it has a checksum, which is compared while it is read.
    """
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            drawn = Drawn(*(arrays[name] for name in Drawn._fields))
    except Exception:  # a damaged file may raise anything
        return None
    images = drawn.train, drawn.test
    whole = all(
        i.dtype == np.uint8 and i.shape[1:] == (image_size,) * 2 for i in images
    )
    return drawn if whole and drawn.classes.shape == drawn.code_points.shape else None


def _write(path: Path, drawn: Drawn) -> None:
    """Writes the file beside its place and then moves it there, whole."""
    partial = partial_of(path)
    try:
        with open(partial, "xb") as file:
            np.savez(file, **drawn._asdict())
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()
