"""The one exception that stands for a user's mistake."""


class UserError(ValueError):
    """A mistake the user can mend.

    The message is one line that names the flag, file or argument, its value, and what
    to do; the command prints it and exits with code 2.
    """


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end; the message says what was kept."""

    def __init__(self, number: int, message: str = "") -> None:
        """Remembers the number of the signal."""
        super().__init__(message)
        self.number = number
