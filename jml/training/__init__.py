"""Training: the command's configuration, the step, the loop and the run folder.

What this package exports needs the standard library only, so that a wrong flag is
reported, and ``--help`` answered, before JAX is loaded. Import the rest by module:
``from jml.training.loop import train_and_evaluate``.
"""

from .command_line import parse as parse
from .config import Config as Config
from .host_memory import keep_freed_memory as keep_freed_memory

__all__ = ["Config", "keep_freed_memory", "parse"]
