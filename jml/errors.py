"""The exceptions that stand for something other than a fault of the program."""

from collections.abc import Mapping


class UserError(ValueError):
    """A mistake the user can mend.

    The message is one line that names the flag, file or argument, its value, and what
    to do; the command prints it and exits with code 2.
    """


class IncompleteError(Exception):
    """The work itself is done, and something that follows it has failed.

    The command prints what and why in one line and exits with code 1.
    """

    def __init__(
        self, problems: Mapping[str, str], done: str = "", advice: str = ""
    ) -> None:
        """Remembers the reason of each failure.

        The message says what is `done`, the failures, and what to do about them.

        >>> print(IncompleteError({"a.png": "no room", "b.png": "no room"}, "trained"))
        trained; a.png, b.png: no room
        """
        self.problems = dict(problems)
        together: dict[str, list[str]] = {}
        for what, reason in problems.items():
            together.setdefault(reason, []).append(what)
        failures = [f"{', '.join(what)}: {why}" for why, what in together.items()]
        super().__init__("; ".join(filter(None, [done, *failures, advice])))


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end; the message says what was kept."""

    def __init__(self, number: int, message: str = "") -> None:
        """Remembers the number of the signal."""
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
        path = error.filename2 or error.filename  # where to, of a file that is moved
        return f"{path!r}: {error.strerror}" if path is not None else error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, UserError | OSError) and text:
        return text.rstrip(".")
    return f"{type(error).__name__}: {text[:200]}".rstrip(": ")
