"""Deep metric learning in JAX, proven equal to PyTorch.

``from jml import losses``, or ``import jml`` and ``jml.losses``: a sub-package is
imported when it is first used, so that ``import jml`` costs nothing, and each brings
its own dependencies alone. ``jml.losses`` needs JAX, NumPy and jaxtyping.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import data as data
    from . import distances as distances
    from . import errors as errors
    from . import evaluation as evaluation
    from . import losses as losses
    from . import models as models
    from . import pairwise as pairwise
    from . import report as report
    from . import training as training

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "data",
    "distances",
    "errors",
    "evaluation",
    "losses",
    "models",
    "pairwise",
    "report",
    "training",
]


def __getattr__(name: str) -> Any:
    """Imports a public module on its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*__all__, "__doc__", "__file__", "__name__", "__path__"})
