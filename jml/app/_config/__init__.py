"""The configuration of a run: its fields, defaults and checks, and the command line.

Only the standard library is imported here, so that a wrong flag is reported, and
``--help`` answered, before JAX is loaded.
"""

from ._command_line import parse as parse
from ._config import Config as Config
from ._consistency import check_same_run as check_same_run
from ._earlier_names import by_present_names as by_present_names
from ._learned import learned as learned

__all__ = ["Config", "by_present_names", "check_same_run", "learned", "parse"]
