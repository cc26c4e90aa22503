"""Images decoded by worker threads."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from jml.data._messages import name_some
from jml.data._types import ImageSource

from ._image_file import BadImageError, decode_square, is_dark, read_square

TASK = 16  # images that a thread decodes before it reports progress


class Checked(NamedTuple):
    """What decoding reveals of each image."""

    bad: Bool[np.ndarray, " n"]  # it cannot be read
    dark: Bool[np.ndarray, " n"]  # it has 16 bits a sample, and 12 would hold it

    @classmethod
    def none(cls, total: int) -> "Checked":
        """No image is bad, and none dark."""
        return cls(np.zeros(total, bool), np.zeros(total, bool))


class Decoder:
    """Images decoded to squares whenever they are indexed."""

    def __init__(self, sources: Sequence[ImageSource], side: int, workers: int) -> None:
        """Starts the threads, and decodes nothing yet."""
        self._sources, self._side = sources, side
        self._pool = ThreadPoolExecutor(workers)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of images, side, side, 3."""
        return len(self), self._side, self._side, 3

    def __len__(self) -> int:
        """The number of images."""
        return len(self._sources)

    def __getitem__(self, rows: Any, /) -> UInt8[np.ndarray, "b s s 3"]:
        """Decodes the images of a slice or of an array of indices, in order."""
        chosen = np.arange(len(self))[rows].tolist()
        images = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        for image, square in zip(images, self._squares(chosen), strict=True):
            image[...] = square
        return images

    def _squares(self, rows: list[int]) -> Iterator[np.ndarray]:
        def read(row: int) -> np.ndarray:
            return read_square(self._sources[row], self._side)

        return self._pool.map(read, rows)

    def fill(
        self,
        images: np.ndarray | None,
        skip_bad: bool,
        progress: Callable[[Iterable, int], Iterable],
    ) -> Checked:
        """Decodes all images, into the array `images` if there is one to fill."""
        checked = Checked.none(len(self))
        reasons: dict[int, str] = {}

        def load(row: int) -> None:
            try:
                square = decode_square(self._sources[row], self._side)
            except BadImageError as error:
                checked.bad[row], reasons[row] = True, str(error)
            else:
                checked.dark[row] = square.dark
                if images is not None:
                    images[row] = square.pixels

        self._for_all(load, progress)
        if reasons and not skip_bad:
            raise bad_images(self._sources, checked.bad, reasons[min(reasons)])
        return checked

    def find_dark(self, progress: Callable[[Iterable, int], Iterable]) -> Checked:
        """Finds the dark images; decodes those whose header leaves it open."""
        checked = Checked.none(len(self))

        def check(row: int) -> None:
            checked.dark[row] = is_dark(self._sources[row])

        self._for_all(check, progress)
        return checked

    def _for_all(
        self,
        do: Callable[[int], None],
        progress: Callable[[Iterable, int], Iterable],
    ) -> None:
        def work(rows: range) -> range:
            for row in rows:
                do(row)
            return rows

        total = len(self)
        tasks = [range(at, min(at + TASK, total)) for at in range(0, total, TASK)]
        done = chain.from_iterable(self._pool.map(work, tasks))
        for _ in progress(done, total):
            pass


def bad_images(
    sources: Sequence[ImageSource], bad: Bool[np.ndarray, " n"], first: str
) -> BadImageError:
    """The error for all images that cannot be read.

    Args:
        sources: all images.
        bad: which of them cannot be read.
        first: the error of the first of these.
    """
    rows = np.flatnonzero(bad).tolist()
    if len(rows) == 1:
        return BadImageError(first)
    names = name_some(sources[row].name for row in rows)
    return BadImageError(
        f"`listing`: {len(rows):,} of {len(bad):,} images cannot be read: {names}; of"
        f" the first: {first.removeprefix('`listing`: ')}"
    )
