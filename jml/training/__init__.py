"""Training: the command's configuration, the step, the loop and the run folder.

``config`` and ``command_line`` import the standard library only, so that a wrong flag
is reported, and ``--help`` answered, before JAX is loaded. Import the rest by module:
``from jml.training.loop import train_and_evaluate``.
"""

from .command_line import parse as parse
from .config import Config as Config

__all__ = ["Config", "parse"]
