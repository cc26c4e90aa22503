"""Which pictures are the same file, and what rankings leave out for it."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from jaxtyping import Bool, Int

from jml.data._types import Listing, Picture

SIZE, END, ALL = range(3)  # what is compared, one after the other
PART = 4096  # bytes of the end
THREADS, BATCH = 8, 64  # of files far away, many are waited for at once


def file_content(path: str, depth: int) -> Hashable:
    """The size of a file, a digest of its end, or one of it all: its copies' are equal.

    Files of one kind begin alike; at the end a PNG even has its checksum.

    Raises:
        OSError: there is no such file, it is empty, or it cannot be read.
    """
    if depth == SIZE:
        size = os.stat(path).st_size
        if not size:  # of a pipe, too, which would have a reader wait
            raise OSError("nothing to read")
        return size
    with open(path, "rb", buffering=0) as file:
        if depth == ALL:
            return hashlib.file_digest(file, "blake2b").digest()
        file.seek(max(0, file.seek(0, os.SEEK_END) - PART))
        return hashlib.blake2b(file.read(PART)).digest()


def identify(listing: Listing, *, published: bool) -> Listing:
    """Fills `ids`, and adds notes of what is left out for them and which copies stay.

    Pictures of one path are one item. So are those of equal bytes, links among them,
    where there is a gallery to search; but a `published` protocol counts these. A file
    that cannot be read has no copies: decoding reports it.
    """
    searched = listing.query if listing.gallery is None else listing.gallery
    tested = np.zeros(len(listing.pictures), bool)
    tested[listing.query] = tested[searched] = True
    paths = _by_path(listing.pictures)
    copies = _by_bytes(listing.pictures, paths, tested)
    by_bytes = listing.gallery is not None and not published
    listing = listing._replace(ids=copies if by_bytes else paths)
    notes = [
        *_left_out(listing, searched, by_bytes),
        *_kept(listing, copies, tested, by_bytes),
    ]
    notes = tuple(f"{listing.name}: {note}" for note in notes)
    return listing._replace(notes=listing.notes + notes)


def _by_path(pictures: Sequence[Picture]) -> Int[np.ndarray, " n"]:
    """For each picture the first one of its path, however the folder is spelt."""
    folders: dict[str, str] = {}
    first: dict[tuple[str, str], int] = {}
    numbers = []
    for row, picture in enumerate(pictures):
        folder, name = os.path.split(getattr(picture, "path", picture.name))
        if folder not in folders:
            folders[folder] = folder
            with suppress(ValueError):  # of a name that none can have
                folders[folder] = os.path.realpath(folder)
        numbers.append(first.setdefault((folders[folder], name), row))
    return np.array(numbers)


def _by_bytes(
    pictures: Sequence[Picture],
    paths: Int[np.ndarray, " n"],
    tested: Bool[np.ndarray, " n"],
) -> Int[np.ndarray, " n"]:
    """For each picture the first one of its bytes, where one of them is `tested`."""

    def contents(task: tuple[int, list[int]]) -> list[Hashable | None]:
        depth, rows = task
        found: list[Hashable | None] = []
        for row in rows:
            try:
                found.append(pictures[row].content(depth))
            except (OSError, ValueError):  # the latter of a name that none can have
                found.append(None)
        return found

    matters = np.zeros(len(pictures), bool)
    matters[paths[tested]] = True
    groups = [np.unique(paths).tolist()]
    with ThreadPoolExecutor(THREADS) as pool:
        for depth in (SIZE, END, ALL):
            members = [(number, row) for number, g in enumerate(groups) for row in g]
            rows = [row for _, row in members]
            tasks = [
                (depth, rows[at : at + BATCH]) for at in range(0, len(rows), BATCH)
            ]
            found = (content for part in pool.map(contents, tasks) for content in part)
            finer: dict[Hashable, list[int]] = defaultdict(list)
            for (number, row), content in zip(members, found, strict=True):
                if content is not None:
                    finer[number, content].append(row)
            groups = [g for g in finer.values() if len(g) > 1 and matters[g].any()]
    first = np.arange(len(pictures))
    for group in groups:
        first[group] = group[0]
    return first[paths]


def _left_out(
    listing: Listing, searched: Int[np.ndarray, " m"], by_bytes: bool
) -> Iterator[str]:
    """How many queries have themselves or a copy to find, and so leave that out."""
    mine, ids = listing.ids[listing.query], listing.ids[searched]
    times = np.bincount(ids, minlength=len(listing.ids))[mine]
    queries = np.count_nonzero(times > np.isin(listing.query, searched))
    if not queries:
        return
    if listing.gallery is None:
        yield (
            f"{queries:,} of {len(mine):,} test images are listed more than once; their"
            " rankings leave themselves out"
        )
    else:
        yield (
            f"{queries:,} of {len(mine):,} queries are in the gallery, too, as the same"
            f" file{' or a copy' * by_bytes}: {np.isin(ids, mine).sum():,} of its"
            f" {len(ids):,} images are left out of the rankings of these"
        )


def _kept(
    listing: Listing,
    copies: Int[np.ndarray, " n"],
    tested: Bool[np.ndarray, " n"],
    by_bytes: bool,
) -> Iterator[str]:
    """How many test images have the bytes of another image, and are not left out."""
    rows = np.flatnonzero(tested)
    items = np.bincount(copies[np.unique(listing.ids[rows])])  # of the same bytes
    twice = items[copies[rows]] > 1
    if listing.gallery is not None:  # queries are not searched for among queries
        side = 2 * copies[rows] + np.isin(rows, listing.query)
        twice |= np.bincount(side)[side] > 1
    trained = np.isin(copies[rows], copies[listing.train])
    lists = "in the queries or the gallery" if by_bytes else "in test"
    places = {"also in training": trained, f"more than once {lists}": twice}
    found = [
        f"{mask.sum():,} of {len(rows):,} test images {place}"
        for place, mask in places.items()
        if mask.any()
    ]
    if found:
        yield f"equal bytes: {', '.join(found)}; none is left out for that alone"
