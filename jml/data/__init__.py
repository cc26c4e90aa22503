"""Pictures and the batches made of them.

Host side, in NumPy: data sets as arrays of uint8 pictures, and which of them make up a
batch. Device side, inside the jitted step: crop, flip, normalise.
"""

from ._augment import augment as augment
from ._augment import center_crop_normalize as center_crop_normalize
from ._folder import folder as folder
from ._glyphs import glyphs as glyphs
from ._sampler import pk_batch as pk_batch
from ._types import Dataset as Dataset
from ._types import Split as Split

__all__ = [
    "Dataset",
    "Split",
    "augment",
    "center_crop_normalize",
    "folder",
    "glyphs",
    "pk_batch",
]
