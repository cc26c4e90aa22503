"""Pictures decoded by worker threads."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from jml.data._sources._problems import bad_images
from jml.data._types import Picture

from ._image_file import BadImageError, decode_square, is_dark, read_square

TASK = 16  # pictures that a thread decodes before it reports to the main one
Progress = Callable[[Iterable, int], Iterable]


class Checked(NamedTuple):
    """What is known of pictures once they are decoded."""

    bad: Bool[np.ndarray, " n"]  # it cannot be read
    dark: Bool[np.ndarray, " n"]  # it has 16 bits, and 12 might do

    @classmethod
    def none(cls, count: int) -> "Checked":
        """There is nothing to say of any of them."""
        return cls(np.zeros(count, bool), np.zeros(count, bool))


class Decoder:
    """Squares decoded whenever they are asked for, by worker threads."""

    def __init__(self, pictures: Sequence[Picture], side: int, workers: int) -> None:
        """Decodes nothing yet."""
        self.shape = (len(pictures), side, side, 3)
        self._pictures = pictures
        self._pool = ThreadPoolExecutor(workers)

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self._pictures)

    def __getitem__(self, rows) -> UInt8[np.ndarray, "b s s 3"]:
        """Decodes some of the pictures, in order."""
        chosen = np.arange(len(self))[rows].tolist()
        images = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        for image, square in zip(images, self._squares(chosen), strict=True):
            image[...] = square
        return images

    def fill(
        self, images: np.ndarray | None, skip_bad: bool, progress: Progress
    ) -> Checked:
        """Decodes all pictures, into `images` if there are any to fill."""
        checked = Checked.none(len(self))
        reasons: dict[int, str] = {}

        def load(row: int) -> None:
            try:
                square = decode_square(self._pictures[row], self.shape[1])
            except BadImageError as error:
                checked.bad[row], reasons[row] = True, str(error)
            else:
                checked.dark[row] = square.dark
                if images is not None:
                    images[row] = square.pixels

        self._for_all(load, progress)
        if reasons and not skip_bad:
            raise bad_images(self._pictures, checked.bad, reasons[min(reasons)])
        return checked

    def find_dark(self, progress: Progress) -> Checked:
        """Decodes those alone whose header does not say that they are not dark."""
        checked = Checked.none(len(self))

        def look(row: int) -> None:
            checked.dark[row] = is_dark(self._pictures[row])

        self._for_all(look, progress)
        return checked

    def _for_all(self, do: Callable[[int], None], progress: Progress) -> None:
        def work(rows: range) -> range:
            for row in rows:
                do(row)
            return rows

        count = len(self)
        tasks = [range(at, min(at + TASK, count)) for at in range(0, count, TASK)]
        done = chain.from_iterable(self._pool.map(work, tasks))
        for _ in progress(done, count):
            pass

    def _squares(self, rows: list[int]):
        side = self.shape[1]
        return self._pool.map(lambda row: read_square(self._pictures[row], side), rows)
