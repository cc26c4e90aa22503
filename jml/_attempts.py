"""Work in parts, of which one may fail without ending the others."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jml.errors import IncompleteError, reason_of


class Attempts:
    """The parts that failed, and why; a part that succeeds later is taken off."""

    def __init__(self, report: Callable[[str], None] = lambda line: None) -> None:
        """Starts without failures; `report` is called with a line for each new one."""
        self.problems: dict[str, str] = {}
        self._report = report

    def silence(self) -> None:
        """Reports no more lines; failures are still noted."""
        self._report = lambda line: None

    @contextmanager
    def at(self, part: str) -> Iterator[None]:
        """Runs a block: where it fails, the failure is noted, and the program goes on.

        Signals are no failures: they pass through.
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
        """Notes a part that failed, and reports it unless the reason is known."""
        if self.problems.get(part) != reason:
            self._report(f"{part}: {reason}")
        self.problems[part] = reason

    def check(self) -> None:
        """Raises an IncompleteError with all failures, if there are any."""
        if self.problems:
            raise IncompleteError(self.problems)
