"""The folder of a run: claimed and locked, written, and read again."""

from ._finished_run import CLASS_WEIGHTS as CLASS_WEIGHTS
from ._finished_run import TENSOR as TENSOR
from ._finished_run import WEIGHTS as WEIGHTS
from ._finished_run import load_class_weights as load_class_weights
from ._finished_run import load_model as load_model
from ._finished_run import read_config as read_config
from ._finished_run import read_moved_config as read_moved_config
from ._finished_run import read_records as read_records
from ._run_folder import RunFolder as RunFolder

__all__ = [
    "CLASS_WEIGHTS",
    "TENSOR",
    "WEIGHTS",
    "RunFolder",
    "load_class_weights",
    "load_model",
    "read_config",
    "read_moved_config",
    "read_records",
]
