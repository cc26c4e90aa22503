"""Files that are complete at any moment, and one line for what cannot be written."""

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any
from uuid import uuid4

from jml._names import quoted
from jml.errors import UserError

ABANDONED = 86_400  # after a day nobody is still writing a file or a folder


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a new file beside the old one, and then replaces that.

    Args:
        path: of the file.
        write: writes the file to the path that it is given.
    """
    # Writers choose the format by the suffix: it stays last.
    unfinished = path.with_name(f"unfinished-{path.name}")
    try:
        write(unfinished)
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):  # an error of `write` matters more
            unfinished.unlink()


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there; a link, not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """Returns a free name beside `path`, for what will be moved there once it is whole.

    What killed runs have left of it is removed: of this machine where the process is
    gone, of others, which may share the folder, after `ABANDONED` seconds. A container
    counts as a machine: its processes have numbers of their own.
    """
    with suppress(OSError):
        for partial in path.parent.glob(f"{escape(path.name)}.partial-*"):
            with suppress(OSError):  # another user's process may have it
                if _is_abandoned(partial):
                    remove(partial)
    name = f"{os.getpid()}-{uuid4().hex[:8]}@{_machine()}"
    return path.with_name(f"{path.name}.partial-{name}")


def _machine() -> str:
    """Where a process is the only one with its number."""
    name = platform.node()
    with suppress(OSError):  # only Linux has it
        name += f"-{os.stat('/proc/self/ns/pid').st_ino}"
    return name


def _is_abandoned(partial: Path) -> bool:
    name, _, machine = partial.name.rpartition(".partial-")[2].partition("@")
    if machine not in ("", _machine()):
        return partial.stat().st_mtime < time.time() - ABANDONED
    try:
        os.kill(int(name.partition("-")[0]), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return True
    return False


@contextmanager
def writing(path: Path, argument: str = "`folder`") -> Iterator[None]:
    """Turns the operating system's refusal to write into a UserError.

    Args:
        path: what is written; an error names the file in question, if it is known.
        argument: what the error calls the argument or flag that `path` comes from.
    """
    try:
        yield
    except OSError as error:
        path, reason = error.filename or path, error.strerror or error
    else:
        return
    raise cannot_write(path, reason, argument)


def cannot_write(
    path: object, reason: object, argument: str | None = "`folder`"
) -> UserError:
    """Returns the error for a place that is full, or may not be written.

    Args:
        path: the place.
        reason: of the operating system.
        argument: the argument or flag that the place comes from; None where nobody can
            choose another.
    """
    problem = f"cannot write {quoted(path)}: {reason}"
    if argument is None:
        return UserError(f"{problem}; free space there, and try again.")
    return UserError(
        f"{argument}: {problem}; free space there, or choose another place."
    )
