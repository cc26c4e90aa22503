"""Files that may be anything: a pipe or a device could be read for ever."""

import errno
import os
import stat
from typing import BinaryIO


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Opens a file for reading, unless it is a pipe or a device.

    Raises:
        OSError: it is one, or the file cannot be opened.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "not a file", os.fspath(path))
    return open(path, "rb")
