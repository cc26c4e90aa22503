"""A lock on a folder that one process at a time may write."""

import os
from pathlib import Path

from jml._names import quoted
from jml.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_held: dict[Path, int] = {}  # of this process: the descriptor of each locked file


def lock_folder(folder: Path) -> None:
    """Locks a folder until `release`, or until the process ends in whatever way.

    Some file systems have no locks: there the user has to see that one runs at a time.

    Raises:
        UserError: another process has locked it.
    """
    release(folder)
    if fcntl is None:
        return
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        os.close(lock)
        raise UserError(
            f"`path`: another process is writing {quoted(folder)}; wait for its end, or"
            " choose another."
        ) from None
    except OSError:
        pass
    _held[folder] = lock


def release(folder: Path) -> None:
    """Ends the lock of this process, if it has one."""
    lock = _held.pop(folder, None)
    if lock is not None:
        os.close(lock)
