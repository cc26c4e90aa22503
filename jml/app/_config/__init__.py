"""The configuration of a run: its fields, defaults and checks, and the command line.

Only the standard library is imported here, so that a wrong flag is reported, and
``--help`` answered, before JAX is loaded.
"""

from ._command_line import parse as parse
from ._config import Config as Config

__all__ = ["Config", "parse"]
