"""The place of a file that a command is to write, looked at before the work."""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from jml._names import quoted
from jml._whole_files import cannot_write


def problems_of_file(
    path: Path, flag: str, *, overwrite: bool, inputs: Iterable[str | Path]
) -> list[str]:
    """What is wrong with it: no name of a file, no folder, taken, or not writable.

    The inputs of the command are not replaced, whatever was passed.
    """
    if is_one_of(path, inputs):
        return [
            f"{flag}: {quoted(path)} is read by this command, and would be replaced;"
            " choose another."
        ]
    if path.is_dir() or not path.parent.is_dir():
        return [f"{flag}: {quoted(path)} can be no file; pass the name of one."]
    if os.path.lexists(path) and not overwrite:
        return [f"{flag}: {quoted(path)} exists; choose another, or pass --overwrite."]
    if not os.access(path.parent, os.W_OK):
        return [str(cannot_write(path, os.strerror(errno.EACCES), flag))]
    return []


def is_one_of(path: Path, others: Iterable[str | Path]) -> bool:
    """Whether it is a file, and one of the others leads to it, too."""
    for other in others:
        with suppress(OSError, ValueError):  # one of them is not there
            if not path.is_dir() and os.path.samefile(path, other):
                return True
    return False
