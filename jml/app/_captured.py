"""What native code prints to the standard error of the process."""

import os
import tempfile
from collections.abc import Callable


def captured_stderr(work: Callable[[], object]) -> str:
    """Runs `work`; returns what reached file descriptor 2 meanwhile.

    Where the descriptor is closed, nothing is captured.
    """
    with tempfile.TemporaryFile() as file:
        try:
            earlier = os.dup(2)
        except OSError:
            work()
            return ""
        try:
            os.dup2(file.fileno(), 2)
            work()
        finally:
            os.dup2(earlier, 2)
            os.close(earlier)
        file.seek(0)
        return file.read().decode(errors="replace")
