"""Files that are whole at any moment, and what the system refuses, in one line."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jml.errors import UserError


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file beside the one that it then replaces."""
    # The suffix stays last: writers go by it.
    unfinished = path.with_name(f"unfinished-{path.name}")
    try:
        write(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Removes a file or a folder, if it is there; of a link, the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def writing(path: Path, argument: str = "`folder`") -> Iterator[None]:
    """Turns the operating system's refusals into one line about `argument`."""
    try:
        yield
    except OSError as error:
        path, reason = error.filename or path, error.strerror or error
    else:
        return
    raise cannot_write(path, reason, argument)


def cannot_write(path: object, reason: object, argument: str = "`folder`") -> UserError:
    """The error of a disk that is full, or a place that may not be written."""
    return UserError(
        f"{argument}: cannot write {str(path)!r}: {reason}; free space there, or"
        " choose another place."
    )
