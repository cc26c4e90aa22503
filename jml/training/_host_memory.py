"""The C library's allocator, set up for training on a CPU."""

import ctypes
import platform

# Of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> None:
    """Lets the process keep the memory that a step frees, for the next step.

    XLA asks for a step's memory anew every time. By default glibc gets hundreds of MiB
    from the system for it, and the system clears every page: a fifth of a step of
    ResNet-18. Other C libraries are left as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_ARENA_MAX, 1)  # the other arenas cannot hold large blocks
