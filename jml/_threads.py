"""Threads that compute on the device and in the width of the one that starts them."""

import os
from collections.abc import Callable
from contextvars import copy_context
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
    """A function for another thread that calls on the device and in the width of this.

    JAX keeps the default device, and whether there are numbers of 64 bits, for each
    thread. NumPy's treatment of overflow goes along, too.
    """
    device, wide = CONFIG.jax_default_device, CONFIG.jax_enable_x64
    context = copy_context()

    def there() -> Result:
        with jax.default_device(device), jax.enable_x64(wide):
            return context.run(call)

    return there
