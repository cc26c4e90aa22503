"""Training: the step, the loop over steps, checkpoints, optimizers and devices.

`make_step` compiles one step and `fit` takes many: with checkpoints, resuming, several
devices and a stop at a loss that is not finite. Neither knows of networks or data sets.
"""

from ._checkpoints import Checkpoints as Checkpoints
from ._devices import data_mesh as data_mesh
from ._devices import replicate as replicate
from ._devices import split_batch as split_batch
from ._fit import NotFinite as NotFinite
from ._fit import fit as fit
from ._host_memory import keep_freed_memory as keep_freed_memory
from ._microbatch import embed_in_pieces as embed_in_pieces
from ._optimizers import Rates as Rates
from ._optimizers import label_groups as label_groups
from ._optimizers import make_optimizer as make_optimizer
from ._prefetch import prefetch as prefetch
from ._step import TrainState as TrainState
from ._step import init_state as init_state
from ._step import make_step as make_step

__all__ = [
    "Checkpoints",
    "NotFinite",
    "Rates",
    "TrainState",
    "data_mesh",
    "embed_in_pieces",
    "fit",
    "init_state",
    "keep_freed_memory",
    "label_groups",
    "make_optimizer",
    "make_step",
    "prefetch",
    "replicate",
    "split_batch",
]
