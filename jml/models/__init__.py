"""Networks that turn images into embeddings."""

from ._embedding import ARCHITECTURES as ARCHITECTURES
from ._embedding import EmbeddingModel as EmbeddingModel
from ._embedding import Model as Model
from ._embedding import batch_norm_mask as batch_norm_mask
from ._embedding import create as create
from ._embedding import embed as embed
from ._embedding import with_bfloat16_kernels as with_bfloat16_kernels
from ._state_dict import from_state_dict as from_state_dict
from ._state_dict import to_state_dict as to_state_dict
from ._weights import load_weights as load_weights
from ._weights import save_weights as save_weights

__all__ = [
    "ARCHITECTURES",
    "EmbeddingModel",
    "Model",
    "batch_norm_mask",
    "create",
    "embed",
    "from_state_dict",
    "load_weights",
    "save_weights",
    "to_state_dict",
    "with_bfloat16_kernels",
]
