"""The part of a collection that one file of a folder holds, and whether all are there.

The images of a collection are counted from 0. Shard i of N has every N-th of them, from
image i on; its parts are runs of `size` images of the shard, of which the last may be
shorter. So a part is always of the same images, however often a shard was interrupted.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jml._value_checks import check_integer

MOST, MOST_SHARDS = 2**48, 2**20  # beyond, a file is damaged, or hostile
SHOWN = 5  # shards that a message names


class Part(NamedTuple):
    """Which images of a collection a file holds.

    >>> Part(images=10, shard=1, shards=2, number=1, size=3).rows()
    range(7, 11, 2)
    """

    images: int  # of the whole collection, those that cannot be read included
    number: int = 0  # of this part, among those of its shard
    size: int = 1024  # images of a part; the last may have fewer
    shard: int = 0
    shards: int = 1
    listing: str = ""  # a digest of the collection's paths and labels
    # The images of this part that cannot be read: their row and the reason of each.
    unreadable: Mapping[int, str] = {}

    def rows(self) -> range:
        """The rows of the collection that this part is of."""
        of_shard = range(self.shard, self.images, self.shards)
        return of_shard[self.number * self.size : (self.number + 1) * self.size]

    def images_there(self) -> int:
        """How many embeddings the file holds."""
        return len(self.rows()) - len(self.unreadable)

    def of_shard(self) -> int:
        """How many parts the shard has."""
        return -(-len(range(self.shard, self.images, self.shards)) // self.size)

    def file_name(self, suffix: str = ".parquet") -> str:
        """The name of its file.

        >>> Part(images=10, shard=1, shards=2).file_name()
        'shard-00001-of-00002-part-000000.parquet'
        """
        place = f"shard-{self.shard:05}-of-{self.shards:05}"
        return f"{place}-part-{self.number:06}{suffix}"

    def readable(self) -> list[int]:
        """The rows of the collection whose embeddings the file holds."""
        return [row for row in self.rows() if row not in self.unreadable]

    def check(self) -> None:
        """Raises ValueError where the numbers do not fit each other."""
        for name, least in (("images", 0), ("number", 0), ("size", 1), ("shard", 0)):
            check_integer("Part", name, getattr(self, name), least=least)
        check_integer("Part", "shards", self.shards, least=self.shard + 1)
        most = max(self.images, self.shards, self.size, self.number)
        if most > MOST or self.shards > MOST_SHARDS:
            raise ValueError("Part: no collection is that large")
        rows = self.rows()
        if not all(row in rows for row in self.unreadable):
            raise ValueError("Part: `unreadable` has rows that are not of this part")


def to_json(part: Part) -> dict[str, Any]:
    """A part as metadata of a file has it."""
    unreadable = [[row, why] for row, why in sorted(part.unreadable.items())]
    return {**part._asdict(), "unreadable": unreadable}


def from_json(value: Any) -> Part:
    """The part that a file's metadata names.

    Raises:
        ValueError, TypeError: it is none.
    """
    part = Part(**value)
    pairs: Any = part.unreadable
    unreadable = {int(row): str(reason) for row, reason in pairs}
    part = part._replace(unreadable=unreadable)
    part.check()
    return part


def what_is_missing(parts: Sequence[Part]) -> str | None:
    """Which shards are not whole, of parts of one collection; None if all are.

    >>> what_is_missing([Part(images=10, shard=1, shards=3, size=2)])
    '3 of 3 shards are not whole: 0 (0 of 2 parts), 1 (1 of 2), 2 (0 of 2)'
    """
    first = parts[0]
    there = [0] * first.shards
    for part in parts:
        there[part.shard] += 1
    wanted = [first._replace(shard=i).of_shard() for i in range(first.shards)]
    behind = [i for i in range(first.shards) if there[i] < wanted[i]]
    if not behind:
        return None
    named = [f"{i} ({there[i]} of {wanted[i]})" for i in behind[:SHOWN]]
    named[0] = f"{named[0][:-1]} parts)"
    more = f" and {len(behind) - SHOWN:,} more" if len(behind) > SHOWN else ""
    return (
        f"{len(behind):,} of {first.shards:,} shards are not whole:"
        f" {', '.join(named)}{more}"
    )
