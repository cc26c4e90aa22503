"""What the commands share: arguments that are checked in one line, and exit codes."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from jml.errors import Interrupted, UserError


class Parser(argparse.ArgumentParser):
    """A parser that raises a ``UserError`` where argparse would print its usage."""

    def error(self, message: str) -> NoReturn:
        """Replaces argparse's usage dump by the one line every mistake gets."""
        flag, _, problem = message.removeprefix("argument ").partition(": ")
        raise UserError(f"{flag}: {problem}; see --help." if problem else f"{message}.")


def exit_code(name: str, run: Callable[[], None]) -> int:
    """Runs a command: 0, or 2 after a user's mistake; 130 after Ctrl-C, 143 SIGTERM."""
    if sys.stderr is None:  # it was closed
        sys.stderr = open(os.devnull, "w")
    earlier = signal.signal(signal.SIGTERM, _interrupt)
    try:
        run()
    except UserError as error:
        line = " ".join(str(error).splitlines())
        print(f"{name}: error: {line}", file=sys.stderr)
        return 2
    except Interrupted as error:
        what = f" {error}" if str(error) else ""
        print(f"{name}: interrupted{what}.", file=sys.stderr)
        return 128 + error.number
    except KeyboardInterrupt:
        print(f"{name}: interrupted.", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, earlier)
    return 0


def _interrupt(number: int, frame: object) -> NoReturn:
    raise Interrupted(number)


def leave(code: int) -> NoReturn:
    """Ends the process; after a signal at once: JAX's threads may still be at work."""
    if code < 128:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
