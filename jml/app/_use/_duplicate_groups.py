"""The groups of images that are near each other, and how they are written."""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jml._names import on_one_line
from jml._whole_files import replace

if TYPE_CHECKING:
    from jml.evaluation import Duplicates
    from jml.inference import Embeddings

LIST, PAGE = "duplicates.csv", "duplicates.html"
HEADER = ("group", "images", "path", "label", "distance", "nearest")
SHOWN = 20  # images of a group that are printed, at most
# What a spreadsheet takes for a formula where a cell begins with it.
FORMULA = re.compile(r"[=+\-@\t\r\n]")


class Member(NamedTuple):
    """An image of a group."""

    row: int  # of the embeddings
    path: str
    label: str | None
    distance: float  # to the nearest other image
    nearest: str  # the path of that

    def lines(self) -> list[str]:
        """What stands below its picture."""
        label = [] if self.label is None else [f"label {self.label}"]
        return [self.path, *label, f"{self.distance:.6g} to {self.nearest}"]


class Group(NamedTuple):
    """Images that chains of near pairs connect, in the order of the collection."""

    number: int  # from 1
    members: Sequence[Member]

    def title(self) -> str:
        """Its number, its size and its distances."""
        distances = [member.distance for member in self.members]
        low, high = f"{min(distances):.6g}", f"{max(distances):.6g}"
        between = low if low == high else f"{low} to {high}"
        return f"group {self.number:,}: {len(self.members):,} images, {between} apart"

    def note(self) -> str:
        """Which labels it has, if there are several."""
        labels = {member.label for member in self.members} - {None}
        return "different labels" if len(labels) > 1 else ""

    def lines(self) -> Iterator[str]:
        """What is printed of it: all paths, unless there are many."""
        note = self.note()
        yield f"{self.title()}{', ' * bool(note)}{note}"
        for member in self.members[:SHOWN]:
            yield f"  {member.distance:<12.6g}{on_one_line(member.path)}"
        more = len(self.members) - SHOWN
        if more > 0:
            yield f"  and {more:,} more"


def groups_of(embeddings: "Embeddings", found: "Duplicates") -> list[Group]:
    """The groups with their images, the group of the smallest distance first."""
    import numpy as np  # the command has the names below before NumPy is loaded

    rows = np.flatnonzero(found.groups >= 0)
    rows = rows[np.argsort(found.groups[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(found.groups[rows], prepend=-1))
    paths, labels = embeddings.paths, embeddings.labels
    return [
        Group(
            number,
            [
                Member(
                    row,
                    paths[row],
                    None if labels is None else labels[row],
                    float(found.distances[row]),
                    paths[found.nearest[row]],
                )
                for row in members.tolist()
            ],
        )
        for number, members in enumerate(np.split(rows, starts[1:]), 1)
        if len(members)
    ]


def write_list(path: Path, groups: Sequence[Group]) -> None:
    """Writes a row for each image of each group.

    Names are bytes, which the file has as they are. A path that a spreadsheet would
    take for a formula stands behind ``./``, with which it leads to the same file; a
    label stands behind an apostrophe.

    Raises:
        OSError: the file cannot be written.
    """

    def write(unfinished: Path) -> None:
        with open(
            unfinished, "w", newline="", encoding="utf-8", errors="surrogateescape"
        ) as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(HEADER)
            for number, members in groups:
                for _, path, label, distance, nearest in members:
                    rows.writerow(
                        (
                            number,
                            len(members),
                            _safe_path(path),
                            _safe(label or "", "'"),
                            f"{distance:.9g}",
                            _safe_path(nearest),
                        )
                    )
            file.flush()
            os.fsync(file.fileno())

    replace(path, write)


def _safe_path(path: str) -> str:
    return _safe(path, "./")


def _safe(text: str, before: str) -> str:
    return before + text if FORMULA.match(text) else text
