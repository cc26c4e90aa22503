"""From a ``Listing`` to a ``Dataset``: pictures decoded once, or whenever needed."""

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8

from jml.errors import UserError

from ._disk_cache import disk_cache
from ._image_file import BadImageError, read_square
from ._types import Dataset, Images, Listing, Picture, Split

CACHES = ("host", "disk", "none")
SMALL = 2**28  # bytes of pictures that are not worth a file
TASK = 16  # pictures that a thread decodes before it reports to the main one
Progress = Callable[[Iterable, int], Iterable]


def decode(
    listing: Listing,
    *,
    image_size: int,
    cache: str | None = None,
    cache_folder: str | os.PathLike | None = None,
    workers: int = 4,
    skip_bad: bool = False,
    progress: Progress = lambda pictures, count: pictures,
) -> Dataset:
    """Makes the pictures of a listing available as squares of uint8.

    Args:
        listing: which pictures.
        image_size: side of the squares.
        cache: "host" decodes all of them now, into memory; "disk" into a file that the
            next run with the same pictures finds again; "none" decodes whenever a
            picture is asked for. None chooses by size: host where they are few, disk
            where there is twice the room, else none.
        cache_folder: where those files are; by default ``jml`` in the user's cache.
        workers: threads that decode.
        skip_bad: leave out pictures that cannot be read, instead of an error.
        progress: wraps what goes through all pictures and has the given length.

    Returns:
        The data set; its notes say how many pictures were left out.

    Raises:
        UserError: a picture cannot be read, or the cache cannot be written.
    """
    count = len(listing.pictures)
    shape = (count, image_size, image_size, 3)
    size = int(np.prod(shape, dtype=np.int64))
    folder = Path(cache_folder or default_cache_folder())
    if cache is None:
        room = _room(folder) > 2 * size
        cache = "host" if size <= SMALL else "disk" if room else "none"
    decoder = Decoder(listing.pictures, image_size, workers)

    def fill(images: np.ndarray | None) -> Bool[np.ndarray, " n"]:
        return decoder.fill(images, skip_bad, progress)

    images: Images
    if cache == "disk":
        images, bad, path = disk_cache(folder, listing, shape, fill)
        if bad.any() and not skip_bad:  # they were left out when the cache was made
            read_square(listing.pictures[int(np.argmax(bad))], image_size)
        kept = f"decoded images: {str(path)!r}, {size / 2**30:.1f} GiB"
        listing = listing._replace(notes=(*listing.notes, kept))
    elif cache == "host":
        images = np.empty(shape, np.uint8)
        bad = fill(images)
    else:
        images = decoder
        bad = fill(None) if skip_bad else np.zeros(count, bool)
    return _dataset(listing, images, bad)


def default_cache_folder() -> Path:
    """``jml`` in the folder where this user's programs keep what they can remake."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "jml")


def _room(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


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
    ) -> Bool[np.ndarray, " n"]:
        """Decodes all pictures into `images`, if any; True where one is bad."""
        bad = np.zeros(len(self), bool)

        def load(rows: range) -> range:
            for row in rows:
                try:
                    square = read_square(self._pictures[row], self.shape[1])
                except BadImageError:
                    if not skip_bad:
                        raise
                    bad[row] = True
                else:
                    if images is not None:
                        images[row] = square
            return rows

        count = len(self)
        tasks = [range(at, min(at + TASK, count)) for at in range(0, count, TASK)]
        done = chain.from_iterable(self._pool.map(load, tasks))
        for _ in progress(done, count):
            pass
        return bad

    def _squares(self, rows: list[int]):
        side = self.shape[1]
        return self._pool.map(lambda row: read_square(self._pictures[row], side), rows)


class Subset:
    """Some rows of other images."""

    def __init__(self, images: Images, rows: Int[np.ndarray, " n"]) -> None:
        """Copies nothing."""
        self.shape = (len(rows), *images.shape[1:])
        self._images, self._rows = images, rows

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._rows)

    def __getitem__(self, rows) -> UInt8[np.ndarray, "b s s 3"]:
        """Those of them."""
        return self._images[self._rows[rows]]


def _dataset(listing: Listing, images: Images, bad: np.ndarray) -> Dataset:
    def split(rows: np.ndarray) -> Split:
        rows = rows[~bad[rows]]
        known = (None if a is None else a[rows] for a in (listing.ids, listing.groups))
        return Split(Subset(images, rows), listing.labels[rows], *known)

    notes = listing.notes
    if bad.any():
        first = listing.pictures[int(np.argmax(bad))].name
        notes += (
            f"{bad.sum():,} of {len(bad):,} images cannot be read and are left out, the"
            f" first of them {first!r}",
        )
    dataset = Dataset(
        listing.name,
        split(listing.train),
        split(listing.query),
        None if listing.gallery is None else split(listing.gallery),
        listing.class_names,
        notes,
    )
    for name in ("train", "query", "gallery"):
        part = getattr(dataset, name)
        if part is not None and not len(part.labels):
            raise UserError(
                f"--dataroot: {listing.name} has no image for {name} that can be read;"
                " unpack the data set anew."
            )
    return dataset
