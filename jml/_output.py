"""Lines for people, on terminals and in logs of any encoding."""

import sys
from contextlib import suppress
from typing import Any

from jml._names import shown
from jml.errors import UserError


def write_out(text: str) -> None:
    """Prints a result, with any names in it, on any terminal.

    Raises:
        UserError: standard output cannot be written.
    """
    try:
        _write(sys.stdout, text)
    except OSError as error:
        raise UserError(
            f"standard output cannot be written: {error.strerror or error}."
        ) from None


def write_err(text: str) -> None:
    """Prints progress to standard error, likewise; a failure to write is ignored."""
    with suppress(OSError, ValueError):  # the latter: a closed stream
        _write(sys.stderr, text)


def _write(stream: Any, text: str) -> None:
    if stream is None:  # it was closed before the process began
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    encoded = shown(text).encode(encoding, "backslashreplace")
    print(encoded.decode(encoding), file=stream, flush=True)
