"""Training: the step, the loop over steps, checkpoints, optimizers and devices.

`make_step` compiles one step, and `fit` takes many, with checkpoints, on several
devices, and ends safely at a signal or a loss that is not finite. Both train whatever
JAX differentiates. For a network of ``jml.models``, `make_loss` makes the function that
a step differentiates, and `label_groups` and `make_optimizer` what updates it.

Where to read what: one step is ``_step``, the loss within it ``_network_loss``, its
update ``_optimizers``; the loop is ``_fit``; what a checkpoint holds is in
``_checkpoints/_contents``.
"""

from ._checkpoints import Checkpoints as Checkpoints
from ._devices import batch_sharding as batch_sharding
from ._devices import data_mesh as data_mesh
from ._devices import local_rows as local_rows
from ._devices import replicate as replicate
from ._devices import replicate_rest as replicate_rest
from ._devices import replicated_sharding as replicated_sharding
from ._devices import shardings_of as shardings_of
from ._devices import split_batch as split_batch
from ._fit import fit as fit
from ._groups import label_groups as label_groups
from ._in_flight import NotFinite as NotFinite
from ._memory import keep_freed_memory as keep_freed_memory
from ._memory import peak_memory as peak_memory
from ._microbatch import embed_in_pieces as embed_in_pieces
from ._network_loss import make_loss as make_loss
from ._optimizers import Rates as Rates
from ._optimizers import make_optimizer as make_optimizer
from ._optimizers import schedule_factor as schedule_factor
from ._prefetch import prefetch as prefetch
from ._rows import update_rows as update_rows
from ._step import TrainState as TrainState
from ._step import init_state as init_state
from ._step import make_step as make_step

__all__ = [
    "Checkpoints",
    "NotFinite",
    "Rates",
    "TrainState",
    "batch_sharding",
    "data_mesh",
    "embed_in_pieces",
    "fit",
    "init_state",
    "keep_freed_memory",
    "label_groups",
    "local_rows",
    "make_loss",
    "make_optimizer",
    "make_step",
    "peak_memory",
    "prefetch",
    "replicate",
    "replicate_rest",
    "replicated_sharding",
    "schedule_factor",
    "shardings_of",
    "split_batch",
    "update_rows",
]
