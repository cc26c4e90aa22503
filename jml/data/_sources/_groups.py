"""Groups of pictures: of one camera, say, or of one sequence."""

from collections.abc import Sequence

import numpy as np

from jml.data._types import Listing


def assign_groups(listing: Listing, cells: Sequence[str]) -> Listing:
    """Fills `groups` from the cells of a table, where a test image has one; notes it.

    An image with an empty cell or -1 is of no group: -1.
    """
    numbers: dict[str, int] = {}
    groups = np.array(
        [
            -1 if cell in ("", "-1") else numbers.setdefault(cell, len(numbers))
            for cell in map(str.strip, cells)
        ]
    )
    tested = [part for part in (listing.query, listing.gallery) if part is not None]
    used = np.unique(groups[np.concatenate(tested)])
    count = np.count_nonzero(used >= 0)
    if not count:
        return listing
    groups_are = "groups are" if count > 1 else "group is"
    note = (
        f"{listing.name}: {count:,} {groups_are} in use: a query's ranking leaves out"
        " the images of its class and group"
    )
    return listing._replace(groups=groups, notes=(*listing.notes, note))
