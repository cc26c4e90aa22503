"""Problems of a data set, collected so that one message names them all."""

from pathlib import Path

from jml._names import quoted
from jml.data._messages import NAMED
from jml.errors import UserError


class Problem(ValueError):
    """What is wrong with one line of a list, or with one folder."""


class Problems:
    """The problems of one data set; the first are kept, the others counted.

    ``with problems.at(path, number):`` collects a ``Problem`` raised inside, and skips
    the rest of the block.
    """

    def __init__(self, advice: str, *, argument: str = "root") -> None:
        """Keeps what to do about the problems, and the argument that they are about."""
        self._advice, self._argument = advice, argument
        self._named: list[str] = []
        self._total = 0
        self._last_path: Path | None = None
        self._line: tuple[Path, int] = Path(), 0

    def add(self, problem: str) -> None:
        """Collects one problem."""
        self._total += 1
        if self._total <= NAMED:
            self._named.append(problem)

    def add_first(self, problem: str) -> None:
        """Collects one that comes before the others: of a file, not of a line."""
        self._total += 1
        self._named = [problem, *self._named][:NAMED]

    def at(self, path: Path, number: int) -> "Problems":
        """Returns a context for one line of a list."""
        self._line = path, number
        return self

    def __enter__(self) -> None:
        """Begins the block about the line."""

    def __exit__(self, kind: type | None, error: object, trace: object) -> bool:
        """Collects the problem that ended the block, if one did."""
        if not isinstance(error, Problem):
            return False
        path, number = self._line
        where = f"line {number}"
        if path != self._last_path:  # a file is named once for all its lines
            where, self._last_path = f"{quoted(path)}, {where}", path
        self.add(f"{where}: {error}")
        return True

    def check(self) -> None:
        """Raises a UserError with all problems, if there are any."""
        if self._total:
            count = f"{self._total:,} problems: " if self._total > 1 else ""
            rest = self._total - len(self._named)
            more = f"; and {rest:,} more" if rest else ""
            listed = "; ".join(self._named)
            raise UserError(
                f"`{self._argument}`: {count}{listed}{more}; {self._advice}."
            )
