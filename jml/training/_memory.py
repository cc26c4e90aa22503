"""Memory of the process: kept between steps, and its peak."""

import ctypes
import platform
import sys

import jax

try:
    import resource
except ImportError:  # Windows
    resource = None

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Makes the process keep the memory that a step frees, for the next step.

    Call it once, before the first step on a CPU. XLA requests a step's memory anew at
    every step. By default glibc returns hundreds of MiB to the system each time, which
    then clears every page again: a fifth of a step of ResNet-18. With other C libraries
    this function does nothing.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_ARENA_MAX, 1)  # the other arenas cannot hold large blocks


def peak_memory() -> int:
    """Returns the most bytes in use so far.

    They are those of the first local device if it counts them, as a GPU does, else
    those of the process; on Windows 0.

    >>> peak_memory() >= 0
    True
    """
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        return stats["peak_bytes_in_use"]
    if resource is None:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
