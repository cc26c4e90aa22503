"""What a data set is, before and after its images are decoded."""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Int, Int32, UInt8


class ImageSource(Protocol):
    """An encoded image: a file, or a record of a larger one."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def read(self) -> bytes:
        """Returns the encoded bytes.

        Raises:
            OSError: there are none.
        """
        ...

    def stamp(self) -> str:
        """Returns something cheap that changes when the bytes do."""
        ...

    def content(self, depth: int) -> Hashable:
        """Returns a value that two images of equal bytes share.

        Args:
            depth: 0 for something cheap, 1 for a digest of a part, 2 for a digest of
                all bytes.

        Raises:
            OSError: there is nothing to read.
        """
        ...


class Listing(NamedTuple):
    """The images of a data set before decoding; labels index `class_names`."""

    name: str
    images: Sequence[ImageSource]
    labels: Int32[np.ndarray, " n"]
    class_names: tuple[str, ...]
    train: Int[np.ndarray, " t"]  # rows of the images to train on
    query: Int[np.ndarray, " q"]  # rows of the test images that search
    gallery: Int[np.ndarray, " g"] | None  # rows that are searched; None: the queries
    notes: tuple[str, ...] = ()  # what the user should know, a line each
    ids: Int[np.ndarray, " n"] | None = None  # equal for images of the same file
    groups: Int[np.ndarray, " n"] | None = None  # camera or sequence; -1: none


class Images(Protocol):
    """Square RGB images that can be indexed: an array, or a decoder of files."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of images, side, side, 3."""
        ...

    def __len__(self) -> int:
        """The number of images."""
        ...

    def __getitem__(self, rows: Any, /) -> UInt8[np.ndarray, "b s s 3"]:
        """Returns the images of a slice or of an array of indices."""
        ...


class Split(NamedTuple):
    """Images and the class of each; ids and groups as ``evaluate`` takes them."""

    images: Images
    labels: Int32[np.ndarray, " n"]
    ids: Int[np.ndarray, " n"] | None = None
    groups: Int[np.ndarray, " n"] | None = None


class Dataset(NamedTuple):
    """Images to train on and, of other classes, images to test on.

    Each query is searched for in the gallery, or among the other queries where the
    gallery is None.
    """

    name: str
    train: Split
    query: Split
    gallery: Split | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
