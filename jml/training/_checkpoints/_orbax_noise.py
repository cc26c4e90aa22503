"""What Orbax and TensorStore print when something goes wrong, which is also raised.

They give up what else they were doing, and print a traceback for each array, some from
threads and some when Python collects the remains.
"""

import gc
import inspect
import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from jml._whole_files import cannot_write


def hush() -> ExitStack:
    """Silences them until the stack is closed."""
    logger, stack = logging.getLogger("absl"), ExitStack()
    hook, unraisable = sys.excepthook, sys.unraisablehook

    def in_thread(kind: Any, error: BaseException, trace: Any) -> None:
        if not _given_up(error):
            hook(kind, error, trace)

    def when_collected(what: Any) -> None:
        if not _given_up(what.exc_value) and not inspect.iscoroutine(what.object):
            unraisable(what)

    stack.callback(logger.setLevel, logger.level)
    stack.callback(setattr, sys, "excepthook", hook)
    stack.callback(setattr, sys, "unraisablehook", unraisable)
    logger.setLevel(logging.CRITICAL)
    sys.excepthook, sys.unraisablehook = in_thread, when_collected
    return stack


def _given_up(error: BaseException | None) -> bool:
    return "Event loop is closed" in str(error)


class Unreadable(Exception):
    """A checkpoint that is there but cannot be read."""


@contextmanager
def reading() -> Iterator[None]:
    """Turns a failure to read, of whatever kind, into ``Unreadable``."""
    try:
        yield
        return
    except (MemoryError, PermissionError):
        raise  # which say nothing about the checkpoint
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise
        lines = str(error).splitlines() or [repr(error)]
    gc.collect()  # here, where it is silent
    raise Unreadable(lines[0][:100])


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns a disk that is full, or a folder that may not be written, into one line."""
    try:
        yield
        return
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        of_disk = "os_error_code" in reason or reason.startswith("Save failed")
        if isinstance(error, ValueError) and not of_disk:
            raise
    if "No space left" in reason:
        reason = "No space left on device"
    gc.collect()  # here, where Orbax is silent
    raise cannot_write(folder, reason.splitlines()[0])
