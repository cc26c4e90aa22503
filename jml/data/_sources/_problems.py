"""What is wrong with a data set, gathered: one message names all of it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from jml.data._decoding._image_file import BadImageError
from jml.data._types import Picture
from jml.errors import UserError

NAMED = 10  # problems or names that a message spells out
LONGEST = 160  # characters of a file that a message repeats


class Problem(ValueError):
    """What is wrong with one line of a list, or with one folder."""


class Problems:
    """Problems of one data set, of which the first are kept and the rest counted.

    ``with problems.at(path, number):`` gathers a ``Problem`` raised inside, and leaves
    the rest of the block out.
    """

    def __init__(self, advice: str) -> None:
        """Remembers what to do about them."""
        self._advice = advice
        self._named: list[str] = []
        self._count = 0
        self._path: Path | None = None
        self._place: tuple[Path, int] | None = None

    def add(self, problem: str) -> None:
        """Gathers one."""
        self._count += 1
        if self._count <= NAMED:
            self._named.append(problem)

    def add_first(self, problem: str) -> None:
        """Gathers one that is said before the others: a whole file, not a line."""
        self._count += 1
        self._named = [problem, *self._named][:NAMED]

    def at(self, path: Path, number: int) -> "Problems":
        """A block about one line of a list."""
        self._place = path, number
        return self

    def __enter__(self) -> None:
        """Begins a block."""

    def __exit__(self, kind: type | None, error: object, trace: object) -> bool:
        """Gathers the problem that ended the block, if one did."""
        if not isinstance(error, Problem):
            return False
        path, number = self._place
        where = f"line {number}"
        if path != self._path:  # the file is named once for all its lines
            where, self._path = f"{str(path)!r}, {where}", path
        self.add(f"{where}: {error}")
        return True

    def check(self) -> None:
        """Raises a UserError that has them all, if there are any."""
        if self._count:
            count = f"{self._count:,} problems: " if self._count > 1 else ""
            rest = self._count - len(self._named)
            more = f"; and {rest:,} more" if rest else ""
            listed = "; ".join(self._named)
            raise UserError(f"--dataroot: {count}{listed}{more}; {self._advice}.")


def bad_images(
    pictures: Sequence[Picture], bad: Bool[np.ndarray, " n"], first: str
) -> BadImageError:
    """The error for all images that cannot be read, with that of the first of them."""
    count = np.count_nonzero(bad)
    if count == 1:
        return BadImageError(first)
    names = name_some(pictures[row].name for row in np.flatnonzero(bad))
    return BadImageError(
        f"--dataroot: {count:,} of {len(bad):,} images cannot be read: {names}; of the"
        f" first: {first.removeprefix('--dataroot: ')}"
    )


def name_some(names: Iterable[str]) -> str:
    """The first ten, and how many more there are.

    >>> name_some(["a", "b"])
    "'a', 'b'"
    >>> name_some(str(i) for i in range(1200))[-18:]
    "'9' and 1,190 more"
    """
    names = list(names)
    listed = ", ".join(map(quote, names[:NAMED]))
    rest = len(names) - NAMED
    return listed + (f" and {rest:,} more" if rest > 0 else "")


def counted(number: int, noun: str) -> str:
    """A number of things.

    >>> counted(1, "image"), counted(1200, "image")
    ('1 image', '1,200 images')
    """
    return f"{number:,} {noun}{'s' * (number != 1)}"


def quote(text: str) -> str:
    """A piece of a file or a path for a message, without the middle of a long one."""
    half = LONGEST // 2
    return repr(text if len(text) <= LONGEST else f"{text[:half]}...{text[-half:]}")
