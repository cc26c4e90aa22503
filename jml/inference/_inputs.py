"""What may be embedded: files, arrays, data sets; read batch by batch."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from jml._value_checks import described
from jml.data import BadImageError, Dataset, Images, Split, read_image
from jml.errors import UserError

WORDS = (
    "`images` must be paths, uint8 arrays [h, w, 3] or [n, h, w, 3], or a split of a"
    " data set"
)


class Batch(NamedTuple):
    """Some of the images that are to be embedded."""

    rows: Int[np.ndarray, " b"]  # which of all images these are
    pixels: UInt8[np.ndarray, "b s s 3"]
    bad: list[tuple[int, BadImageError]]  # those of these rows that cannot be read


class Inputs:
    """Images to embed, whatever they are given as."""

    def __init__(self, name: str, images: Any, side: int, *, skip_bad: bool) -> None:
        """Checks what can be checked without reading.

        Args:
            name: the public function, which errors name.
            images: what `TrainedModel.embed` takes.
            side: of the squares that the network's input is cut from.
            skip_bad: note images that cannot be read; else `read` raises.
        """
        self._images, self.side, self._skip_bad = (
            _checked(name, images),
            side,
            skip_bad,
        )

    def __len__(self) -> int:
        """The number of images."""
        return len(self._images)

    def read(self, pool: ThreadPoolExecutor, rows: range) -> Batch:
        """Reads the images of these rows by the threads of a pool.

        Raises:
            BadImageError: one cannot be read, and `skip_bad` is off.
        """
        side, images = self.side, self._images
        if not isinstance(images, list):
            images = images[rows.start : rows.stop]
            if images.shape[1:] == (side, side, 3):
                return Batch(np.asarray(rows), np.asarray(images), [])
        else:
            images = images[rows.start : rows.stop]
        pixels = np.empty((len(rows), side, side, 3), np.uint8)
        read: list[int] = []
        bad: list[tuple[int, BadImageError]] = []
        results = pool.map(partial(_read, side=side), images)
        for row, result in zip(rows, results, strict=True):
            if isinstance(result, np.ndarray):
                pixels[len(read)] = result
                read.append(row)
            elif self._skip_bad:
                bad.append((row, result))
            else:
                raise result
        return Batch(np.array(read, np.int64), pixels[: len(read)], bad)


def _read(image: Any, *, side: int) -> UInt8[np.ndarray, "s s 3"] | BadImageError:
    try:
        return read_image(image, image_size=side)
    except BadImageError as error:
        line = str(error).replace("`image`", "`images`", 1)
        return BadImageError(line, error.reason)


def _checked(name: str, images: Any) -> list[Any] | Images:
    if isinstance(images, Dataset):
        raise ValueError(f"{name}: {WORDS}, got a data set; pass its `query`, say")
    if isinstance(images, Split):
        images = images.images
    if isinstance(images, str | os.PathLike):
        raise UserError(
            f"`images`: a single path, {os.fspath(images)!r}; pass a list of paths."
        )
    if hasattr(images, "__array__"):
        images = np.asarray(images)
        if images.dtype.kind in "OU":
            images = images.tolist()
    if isinstance(images, np.ndarray) or _are_images(images):
        dtype = getattr(images, "dtype", np.dtype(np.uint8))
        shape = tuple(images.shape)
        if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3:
            raise ValueError(f"{name}: {WORDS}, got {dtype} {shape}")
        return images
    if not isinstance(images, Iterable) or isinstance(images, bytes | dict):
        raise ValueError(f"{name}: {WORDS}, got {described(images)}")
    images = list(images)
    _check_each(name, images)
    return images


def _are_images(images: Any) -> bool:
    return hasattr(images, "shape") and hasattr(images, "__getitem__")


def _check_each(name: str, images: Sequence[Any]) -> None:
    for number, image in enumerate(images):
        if isinstance(image, np.ndarray):
            good = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
            good = good and image.size > 0
            words = f"{image.dtype} {image.shape}"
        else:
            source = hasattr(image, "read") and hasattr(image, "name")
            good, words = isinstance(image, str | os.PathLike) or source, None
        if not good:
            words = words or described(image)
            raise ValueError(f"{name}: {WORDS}; number {number} is {words}")
