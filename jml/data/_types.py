"""What a data set is, before and after its pictures are decoded."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Int, Int32, UInt8


class Picture(Protocol):
    """A picture somewhere: a file, or a record of a larger one."""

    @property
    def name(self) -> str:
        """What to call it in a message."""

    def read(self) -> bytes:
        """Its encoded bytes; an OSError where there are none."""

    def stamp(self) -> str:
        """Something cheap that changes when the bytes do."""

    def content(self, depth: int) -> Hashable:
        """What its copies share, an OSError where there is nothing.

        At depth 0 something cheap, at 1 a digest of a part, at 2 one of all bytes.
        """


class Listing(NamedTuple):
    """The pictures of a data set, none decoded yet; labels index `class_names`."""

    name: str
    pictures: Sequence[Picture]
    labels: Int32[np.ndarray, " n"]
    class_names: tuple[str, ...]
    train: Int[np.ndarray, " t"]  # which pictures are trained on,
    query: Int[np.ndarray, " q"]  # which are searched for,
    gallery: Int[np.ndarray, " g"] | None  # and among which; None: among the queries
    notes: tuple[str, ...] = ()  # what its user should be told, a line each
    ids: Int[np.ndarray, " n"] | None = None  # those of one file share a number
    groups: Int[np.ndarray, " n"] | None = None  # camera or sequence; -1: none


class Images(Protocol):
    """Square RGB pictures, of which any may be had: an array, or what decodes them."""

    shape: tuple[int, int, int, int]

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, rows) -> UInt8[np.ndarray, "b s s 3"]:
        """Those of a slice or of an array of indices."""


class Split(NamedTuple):
    """Pictures and the class of each; ids and groups as ``evaluate`` takes them."""

    images: Images
    labels: Int32[np.ndarray, " n"]
    ids: Int[np.ndarray, " n"] | None = None
    groups: Int[np.ndarray, " n"] | None = None


class Dataset(NamedTuple):
    """Pictures to train on and, of other classes, to test on.

    Queries are searched for in the gallery; where that is None, among one another.
    """

    name: str
    train: Split
    query: Split
    gallery: Split | None
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
