"""A lock on a folder, so that two runs do not write it at once."""

import os
from pathlib import Path

from jml.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


def lock_folder(path: Path) -> int | None:
    """Locks a folder until the descriptor that is returned is closed.

    The system lets go of it however the process ends. Where there are no locks, as on
    some network file systems, two runs of one name are the user's to avoid.

    Raises:
        UserError: another process has locked it.
    """
    if fcntl is None:
        return None
    lock = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise UserError(
            f"--name: another run is writing {str(path)!r}; wait for its end, or choose"
            " another --name."
        ) from None
    except OSError:
        pass
    return lock
