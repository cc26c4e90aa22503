"""Pictures and the batches made of them.

Host side, in NumPy: data sets as arrays of uint8 pictures, and which of them make up a
batch. Device side, inside the jitted step: crop, flip, normalise.
"""

from jml.data._decoding._decoded import decode as decode
from jml.data._glyphs._glyphs import glyphs as glyphs
from jml.data._sources._cars import cars196 as cars196
from jml.data._sources._folder import folder as folder
from jml.data._sources._folder import table as table
from jml.data._sources._list_files import cub200 as cub200
from jml.data._sources._list_files import in_shop as in_shop
from jml.data._sources._list_files import sop as sop
from jml.data._sources._tfds import tfds as tfds

from ._augment import augment as augment
from ._augment import center_crop_normalize as center_crop_normalize
from ._augment import strong_augment as strong_augment
from ._sampler import cub_batch as cub_batch
from ._sampler import in_shop_batch as in_shop_batch
from ._sampler import pk_batch as pk_batch
from ._types import Dataset as Dataset
from ._types import Images as Images
from ._types import Listing as Listing
from ._types import Split as Split

__all__ = [
    "Dataset",
    "Images",
    "Listing",
    "Split",
    "augment",
    "cars196",
    "center_crop_normalize",
    "cub200",
    "cub_batch",
    "decode",
    "folder",
    "glyphs",
    "in_shop",
    "in_shop_batch",
    "pk_batch",
    "sop",
    "strong_augment",
    "table",
    "tfds",
]
