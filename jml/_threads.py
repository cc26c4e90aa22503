"""Threads that compute as the thread that starts them would."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import jax

CONFIG: Any = jax.config  # its attributes are not declared
Result = TypeVar("Result")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def as_here(call: Callable[[], Result]) -> Callable[[], Result]:
    """A function for another thread that computes as `call` does in this one.

    JAX keeps the default device, and whether there are numbers of 64 bits, for each
    thread.
    """
    device, wide = CONFIG.jax_default_device, CONFIG.jax_enable_x64

    def there() -> Result:
        with jax.default_device(device), jax.enable_x64(wide):
            return call()

    return there
