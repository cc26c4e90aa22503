"""Which images are the same file, and what rankings leave out because of that."""

import os
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from jaxtyping import Bool, Int

from jml.data._types import ImageSource, Listing

DEPTHS = range(3)  # depths of ``ImageSource.content``, from cheapest to surest
# Files may be on a slow disk far away, so that many reads wait at the same time.
THREADS, BATCH = 8, 64


def identify(listing: Listing, *, published: bool) -> Listing:
    """Fills `ids`, and adds notes about what they leave out and which copies stay.

    Images of one path are one item. Images of equal bytes, links among them, are one
    item where there is a gallery and the protocol is not a `published` one: that counts
    them. A file that cannot be read has no copies; decoding reports it.
    """
    searched = listing.query if listing.gallery is None else listing.gallery
    tested = np.zeros(len(listing.images), bool)
    tested[listing.query] = tested[searched] = True
    paths = _by_path(listing.images)
    copies = _by_bytes(listing.images, paths, tested)
    by_bytes = listing.gallery is not None and not published
    ids = copies if by_bytes else paths
    notes = [
        *_left_out(listing, ids, searched, by_bytes),
        *_kept(listing, ids, copies, tested, by_bytes),
    ]
    notes = tuple(f"{listing.name}: {note}" for note in notes)
    return listing._replace(ids=ids, notes=listing.notes + notes)


def _by_path(images: Sequence[ImageSource]) -> Int[np.ndarray, " n"]:
    """For each image the first one of its path, however the folder is spelled."""
    folders: dict[str, str] = {}
    first: dict[tuple[str, str], int] = {}
    ids = []
    for row, image in enumerate(images):
        folder, name = os.path.split(getattr(image, "path", image.name))
        if folder not in folders:
            folders[folder] = folder
            with suppress(ValueError):  # the path holds a character that no path has
                folders[folder] = os.path.realpath(folder)
        ids.append(first.setdefault((folders[folder], name), row))
    return np.array(ids)


def _by_bytes(
    images: Sequence[ImageSource],
    paths: Int[np.ndarray, " n"],
    tested: Bool[np.ndarray, " n"],
) -> Int[np.ndarray, " n"]:
    """For each image the first one of its bytes, where one of these is `tested`.

    Groups of images that may be equal are split by ever surer comparisons. A group
    without a test image is dropped: nothing is evaluated on it.
    """

    def contents(task: tuple[int, list[int]]) -> list[Hashable | None]:
        depth, rows = task
        values: list[Hashable | None] = []
        for row in rows:
            try:
                values.append(images[row].content(depth))
            except (OSError, ValueError):  # no file, or no path
                values.append(None)
        return values

    matters = np.zeros(len(images), bool)
    matters[paths[tested]] = True
    groups = [np.unique(paths).tolist()]
    with ThreadPoolExecutor(THREADS) as pool:
        for depth in DEPTHS:
            members = [(g, row) for g, group in enumerate(groups) for row in group]
            rows = [row for _, row in members]
            starts = range(0, len(rows), BATCH)
            tasks = [(depth, rows[at : at + BATCH]) for at in starts]
            values = (value for part in pool.map(contents, tasks) for value in part)
            finer: dict[Hashable, list[int]] = defaultdict(list)
            for (g, row), value in zip(members, values, strict=True):
                if value is not None:
                    finer[g, value].append(row)
            groups = [g for g in finer.values() if len(g) > 1 and matters[g].any()]
    first = np.arange(len(images))
    for group in groups:
        first[group] = group[0]
    return first[paths]


def _left_out(
    listing: Listing,
    ids: Int[np.ndarray, " n"],
    searched: Int[np.ndarray, " m"],
    by_bytes: bool,
) -> Iterator[str]:
    """Counts the queries whose rankings leave out the query itself or a copy of it."""
    query_ids, searched_ids = ids[listing.query], ids[searched]
    times = np.bincount(searched_ids, minlength=len(ids))[query_ids]
    queries = np.count_nonzero(times > np.isin(listing.query, searched))
    if not queries:
        return
    if listing.gallery is None:
        yield (
            f"{queries:,} of {len(query_ids):,} test images are listed more than once;"
            " their rankings leave themselves out"
        )
    else:
        left_out = np.isin(searched_ids, query_ids).sum()
        yield (
            f"{queries:,} of {len(query_ids):,} queries are in the gallery, too, as the"
            f" same file{' or a copy' * by_bytes}: {left_out:,} of its"
            f" {len(searched_ids):,} images are left out of the rankings of these"
        )


def _kept(
    listing: Listing,
    ids: Int[np.ndarray, " n"],
    copies: Int[np.ndarray, " n"],
    tested: Bool[np.ndarray, " n"],
    by_bytes: bool,
) -> Iterator[str]:
    """Counts the test images with the bytes of another image that stays in rankings."""
    rows = np.flatnonzero(tested)
    items = np.bincount(copies[np.unique(ids[rows])])  # how many share their bytes
    twice = items[copies[rows]] > 1
    if listing.gallery is not None:  # queries are not searched for among queries
        side = 2 * copies[rows] + np.isin(rows, listing.query)
        twice |= np.bincount(side)[side] > 1
    trained = np.isin(copies[rows], copies[listing.train])
    lists = "in the queries or the gallery" if by_bytes else "in test"
    places = {"also in training": trained, f"more than once {lists}": twice}
    counts = [
        f"{mask.sum():,} of {len(rows):,} test images {place}"
        for place, mask in places.items()
        if mask.any()
    ]
    if counts:
        yield f"equal bytes: {', '.join(counts)}; they stay in the rankings"
