"""Deep metric learning in JAX, proven equal to PyTorch.

``from jml import losses``, or ``import jml`` and ``jml.losses``: a sub-package is
imported when it is first used, so that ``import jml`` costs nothing, and each brings
its own dependencies alone. ``jml.losses`` needs JAX, NumPy and jaxtyping.
"""

from typing import TYPE_CHECKING

from ._first_use import import_on_first_use

if TYPE_CHECKING:
    from . import data as data
    from . import distances as distances
    from . import errors as errors
    from . import evaluation as evaluation
    from . import inference as inference
    from . import losses as losses
    from . import miners as miners
    from . import models as models
    from . import pairwise as pairwise
    from . import report as report
    from . import tiles as tiles
    from . import training as training
    from .inference import load as load

__version__ = "0.1.0"
import_on_first_use(
    __name__,
    {
        "data": None,
        "distances": None,
        "errors": None,
        "evaluation": None,
        "inference": None,
        "load": "inference",
        "losses": None,
        "miners": None,
        "models": None,
        "pairwise": None,
        "report": None,
        "tiles": None,
        "training": None,
    },
    also=("__version__",),
)
