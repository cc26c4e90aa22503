"""Tables of results, and what they were measured on."""

import os
import platform
from importlib.metadata import version


def padded(cells, widths):
    """One line of a table in Markdown."""
    cells = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
    return "| " + " | ".join(cells) + " |"


def three_digits(number):
    """With three digits, or all before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:#.3g}"


def machine(installed):
    """What the numbers are taken on."""
    import jax

    return {
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    } | {name: version(name) for name in installed}
