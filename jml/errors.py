"""Exceptions that are no fault of the program: mistakes, partial results, signals."""

from collections.abc import Mapping

from jml import _names


class UserError(ValueError):
    """A mistake that the user can fix.

    The message is one line: which argument or file is wrong, its value, and what to do.
    It names arguments in backticks, which a command prints as its flags before it
    exits with code 2.
    """


class IncompleteError(Exception):
    """The work itself is done, but a step that follows it has failed.

    The command prints what and why in one line and exits with code 1.
    """

    def __init__(
        self, problems: Mapping[str, str], done: str = "", advice: str = ""
    ) -> None:
        """Keeps the reason of each failure.

        The message is what was `done`, the failures, and the `advice` on them.

        >>> print(IncompleteError({"a.png": "no room", "b.png": "no room"}, "trained"))
        trained; a.png, b.png: no room
        """
        self.problems = dict(problems)
        by_reason: dict[str, list[str]] = {}
        for part, reason in problems.items():
            by_reason.setdefault(reason, []).append(part)
        failures = [f"{', '.join(parts)}: {why}" for why, parts in by_reason.items()]
        super().__init__("; ".join(filter(None, [done, *failures, advice])))


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end; the message says what is saved."""

    def __init__(self, number: int, message: str = "") -> None:
        """Keeps the number of the signal."""
        super().__init__(message)
        self.number = number


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line.

    >>> reason_of(FileNotFoundError(2, "No such file or directory", "a.png"))
    "'a.png': No such file or directory"
    >>> reason_of(ZeroDivisionError("division by zero"))
    'ZeroDivisionError: division by zero'
    """
    if isinstance(error, OSError) and error.strerror:
        path = error.filename2 or error.filename  # the destination of a move
        file = "" if path is None else f"{_names.quoted(path)}: "
        return f"{file}{error.strerror}"
    text = " ".join(str(error).split())
    if isinstance(error, UserError | OSError) and text:
        return text.rstrip(".")
    return f"{type(error).__name__}: {text[:200]}".rstrip(": ")
