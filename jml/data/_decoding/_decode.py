"""From a ``Listing`` to a ``Dataset``: images decoded once, or whenever needed."""

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int, UInt8

from jml._checks import check_choice, check_count
from jml._names import quoted
from jml._user_cache import user_cache_folder
from jml._value_checks import check_functions, check_path, check_type
from jml.data._singletons import CHOICES, singletons_note
from jml.data._types import Dataset, Images, Listing, Split
from jml.errors import UserError

from ._decoder import Checked, Decoder, bad_images
from ._disk_cache import disk_cache
from ._image_file import BadImageError, need_pillow, read_square

CACHES = ("host", "disk", "none")
SMALL = 2**28  # bytes of pixels that are not worth a file


def decode(
    listing: Listing,
    *,
    image_size: int,
    cache: str | None = None,
    cache_folder: str | os.PathLike | None = None,
    workers: int = 4,
    skip_bad: bool = False,
    singletons: str = "skip",
    progress: Callable[[Iterable, int], Iterable] = lambda images, total: images,
) -> Dataset:
    """Makes the images of a listing available as squares of uint8.

    Args:
        listing: the images.
        image_size: side of the squares.
        cache: "host" decodes all images now, into memory; "disk" into a file that the
            next run with the same images finds again; "none" decodes an image whenever
            it is indexed. None chooses by size: "host" for at most 256 MiB, "disk"
            where there is twice the room, else "none".
        cache_folder: where those files are; by default ``jml`` in the user's cache.
        workers: threads that decode.
        skip_bad: leave out images that cannot be read, instead of an error.
        singletons: the `singletons` that will be passed to ``pk_batch``: "skip" or
            "views". It only decides the note about training classes of which a single
            image can be read.
        progress: called with an iterable over all images and their number; returns one
            over the same images, and may show how far it is.

    Returns:
        The data set. Its notes say how many images were left out, and how many are
        nearly black because their 16 bits hold no more than 12.

    Raises:
        UserError: an image cannot be read, Pillow is missing, or the cache cannot be
            written.
        ValueError: an argument is of the wrong kind or out of range.
    """
    check_type("decode", "listing", listing, Listing, "a listing, as `folder` gives")
    check_count("decode", "image_size", image_size)
    if cache is not None:
        check_choice("decode", "cache", cache, CACHES)
    if workers is not None:
        check_count("decode", "workers", workers)
    check_choice("decode", "singletons", singletons, CHOICES)
    check_functions("decode", progress=progress)
    need_pillow()
    shape = (len(listing.images), image_size, image_size, 3)
    size = int(np.prod(shape, dtype=np.int64))
    folder = check_path("decode", "cache_folder", cache_folder or user_cache_folder())
    if cache is None:
        room = _room(folder) > 2 * size
        cache = "host" if size <= SMALL else "disk" if room else "none"
    decoder = Decoder(listing.images, image_size, workers)

    def fill(pixels: np.ndarray | None) -> Checked:
        return decoder.fill(pixels, skip_bad, progress)

    if cache == "disk":
        images, (bad, dark), path = disk_cache(folder, listing, shape, fill)
        if bad.any() and not skip_bad:  # they were left out when the cache was made
            _raise_bad(listing, image_size, bad)
        kept = f"decoded images: {quoted(path)}, {size / 2**30:.1f} GiB"
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


def _room(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _raise_bad(listing: Listing, side: int, bad: Bool[np.ndarray, " n"]) -> None:
    """Reads the first of the bad images again, for the reason."""
    try:
        read_square(listing.images[int(np.argmax(bad))], side)
    except BadImageError as error:
        raise bad_images(listing.images, bad, str(error)) from None


class Subset:
    """Some rows of other images."""

    def __init__(self, images: Images, rows: Int[np.ndarray, " n"]) -> None:
        """Keeps both, and copies nothing."""
        self._images, self._rows = images, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of images, side, side, 3."""
        return len(self._rows), *self._images.shape[1:]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._rows)

    def __getitem__(self, rows: Any, /) -> UInt8[np.ndarray, "b s s 3"]:
        """Returns the images of a slice or of an array of indices."""
        return self._images[self._rows[rows]]


def _dark_note(listing: Listing, dark: Bool[np.ndarray, " n"]) -> str:
    first = listing.images[int(np.argmax(dark))].name
    return (
        f"{dark.sum():,} of {len(dark):,} images have 16 bits, no declared range and no"
        " value above 4,095; they are nearly black, for white is 65,535: if they hold"
        f" 12 bits, declare it in the TIFF tag MaxSampleValue; the first is"
        f" {quoted(first)}"
    )


def _dataset(
    listing: Listing, images: Images, bad: Bool[np.ndarray, " n"], singletons: str
) -> Dataset:
    """The data set without the images that cannot be read."""

    def split(name: str, rows: Int[np.ndarray, " r"]) -> Split:
        rows = rows[~bad[rows]]
        if not len(rows):
            raise UserError(
                f"`listing`: {listing.name} has no image for {name} that can be read;"
                " unpack the data set anew."
            )
        return Split(
            Subset(images, rows),
            listing.labels[rows],
            None if listing.ids is None else listing.ids[rows],
            None if listing.groups is None else listing.groups[rows],
        )

    train = split("train", listing.train)
    query = split("query", listing.query)
    gallery = None if listing.gallery is None else split("gallery", listing.gallery)
    # What the listing reports of training classes with one image is counted anew.
    before = singletons_note(listing.name, listing.labels[listing.train])
    notes = tuple(note for note in listing.notes if note not in before)
    notes += singletons_note(listing.name, train.labels, singletons)
    if bad.any():
        first = listing.images[int(np.argmax(bad))].name
        notes += (
            f"{bad.sum():,} of {len(bad):,} images cannot be read and are left out, the"
            f" first of them {quoted(first)}",
        )
    return Dataset(listing.name, train, query, gallery, listing.class_names, notes)
