"""Work of which a part may fail without costing the rest."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jml.errors import IncompleteError, reason_of


class Attempts:
    """Parts that failed, by name, and why; one that succeeds later is taken off."""

    def __init__(self, report: Callable[[str], None] = lambda line: None) -> None:
        """Nothing has failed yet; `report` is given a line when something does."""
        self.problems: dict[str, str] = {}
        self.report = report

    @contextmanager
    def at(self, part: str) -> Iterator[None]:
        """A block that is given up where it fails; what follows it goes on.

        Signals are no failures and pass through.
        """
        try:
            yield
        except IncompleteError as error:
            for name, reason in error.problems.items():
                self.note(name, reason)
        except Exception as error:
            self.note(part, reason_of(error))
        else:
            self.problems.pop(part, None)

    def note(self, part: str, reason: str) -> None:
        """Notes a part that failed, and reports what is new."""
        if self.problems.get(part) != reason:
            self.report(f"{part}: {reason}")
        self.problems[part] = reason

    def check(self) -> None:
        """Raises an IncompleteError that has all failures, if there are any."""
        if self.problems:
            raise IncompleteError(self.problems)
