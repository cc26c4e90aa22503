"""What the commands share: exit codes, and mistakes reported in one line.

The exit codes: 0 for success; 1 where the work is done and saved, but a step that
follows it failed (a report, a plot, a tracker), which the last line names; 2 after a
mistake, which the last line says how to fix; 130 after Ctrl-C, and 143 after SIGTERM.
"""

import gc
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from jml._output import write_err
from jml.app._early_exit import raising
from jml.app._flags_of_arguments import with_flags
from jml.errors import IncompleteError, Interrupted, UserError

COMPILES = "compiles ahead"  # name of threads in which XLA compiles


def exit_code(name: str, run: Callable[[], None]) -> int:
    """Runs a command; returns its exit code, and prints in one line why it is not 0."""
    if sys.stderr is None:  # it was closed
        sys.stderr = open(os.devnull, "w")
    try:
        with raising(name, _interrupt):
            run()
    except (IncompleteError, UserError) as error:
        write_err(f"{name}: error: {_line(error)}")
        return 1 if isinstance(error, IncompleteError) else 2
    except Interrupted as error:
        what = f" {_line(error)}" if str(error) else ""
        write_err(f"{name}: interrupted{what}.")
        return 128 + error.number
    except KeyboardInterrupt:
        write_err(f"{name}: interrupted.")
        return 130
    return 0


def _line(error: BaseException) -> str:
    return with_flags(" ".join(str(error).splitlines()))


def _interrupt(number: int, frame: object) -> NoReturn:
    raise Interrupted(number)


def leave(code: int) -> NoReturn:
    """Ends the process.

    After a signal, or a mistake while programs are compiled, no thread is waited for.
    """
    compiling = any(t.name == COMPILES for t in threading.enumerate())
    if code < 2 or (code < 128 and not compiling):
        gc.freeze()  # or Python looks through all objects as it ends, for a second
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, AttributeError):
            stream.flush()
    os._exit(code)
