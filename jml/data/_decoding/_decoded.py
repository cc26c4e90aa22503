"""From a ``Listing`` to a ``Dataset``: pictures decoded once, or whenever needed."""

import os
import shutil
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int, UInt8

from jml.data._singletons import singletons_note
from jml.data._sources._problems import bad_images
from jml.data._types import Dataset, Images, Listing, Split
from jml.errors import UserError

from ._decoder import Checked, Decoder, Progress
from ._disk_cache import disk_cache
from ._image_file import BadImageError, need_pillow, read_square

CACHES = ("host", "disk", "none")
SMALL = 2**28  # bytes of pictures that are not worth a file


def decode(
    listing: Listing,
    *,
    image_size: int,
    cache: str | None = None,
    cache_folder: str | os.PathLike | None = None,
    workers: int = 4,
    skip_bad: bool = False,
    singletons: str = "skip",
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
        singletons: what ``pk_batch`` will be told about training classes of which a
            single image can be read: "skip" or "views". It is noted.
        progress: wraps what goes through all pictures and has the given length.

    Returns:
        The data set; its notes say how many pictures were left out, and how many are
        nearly black because their 16 bits hold no more than 12.

    Raises:
        UserError: a picture cannot be read, Pillow is missing, or the cache cannot be
            written.
    """
    need_pillow()
    count = len(listing.pictures)
    shape = (count, image_size, image_size, 3)
    size = int(np.prod(shape, dtype=np.int64))
    folder = Path(cache_folder or default_cache_folder())
    if cache is None:
        room = _room(folder) > 2 * size
        cache = "host" if size <= SMALL else "disk" if room else "none"
    decoder = Decoder(listing.pictures, image_size, workers)

    def fill(images: np.ndarray | None) -> Checked:
        return decoder.fill(images, skip_bad, progress)

    images: Images
    if cache == "disk":
        images, (bad, dark), path = disk_cache(folder, listing, shape, fill)
        if bad.any() and not skip_bad:  # they were left out when the cache was made
            try:
                read_square(listing.pictures[int(np.argmax(bad))], image_size)
            except BadImageError as error:
                raise bad_images(listing.pictures, bad, str(error)) from None
        kept = f"decoded images: {str(path)!r}, {size / 2**30:.1f} GiB"
        listing = listing._replace(notes=(*listing.notes, kept))
    elif cache == "host":
        images = np.empty(shape, np.uint8)
        bad, dark = fill(images)
    else:
        images = decoder
        bad, dark = fill(None) if skip_bad else decoder.find_dark(progress)
    if dark.any():
        listing = listing._replace(notes=(*listing.notes, _dark_note(listing, dark)))
    return _dataset(listing, images, bad, singletons)


def default_cache_folder() -> Path:
    """``jml`` in the folder where this user's programs keep what they can remake."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "jml")


def _room(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


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


def _dark_note(listing: Listing, dark: Bool[np.ndarray, " n"]) -> str:
    first = listing.pictures[int(np.argmax(dark))].name
    return (
        f"{dark.sum():,} of {len(dark):,} images have 16 bits, no declared range and no"
        " value above 4,095; they are nearly black, for white is 65,535: if they hold"
        f" 12 bits, declare it in the TIFF tag MaxSampleValue; the first is {first!r}"
    )


def _dataset(
    listing: Listing, images: Images, bad: np.ndarray, singletons: str
) -> Dataset:
    def split(rows: np.ndarray) -> Split:
        rows = rows[~bad[rows]]
        known = (None if a is None else a[rows] for a in (listing.ids, listing.groups))
        return Split(Subset(images, rows), listing.labels[rows], *known)

    train = split(listing.train)
    before = singletons_note(listing.name, listing.labels[listing.train])
    notes = tuple(note for note in listing.notes if note not in before)
    notes += singletons_note(listing.name, train.labels, singletons)
    if bad.any():
        first = listing.pictures[int(np.argmax(bad))].name
        notes += (
            f"{bad.sum():,} of {len(bad):,} images cannot be read and are left out, the"
            f" first of them {first!r}",
        )
    dataset = Dataset(
        listing.name,
        train,
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
