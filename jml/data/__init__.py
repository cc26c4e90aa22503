"""Images and the batches made of them.

On the host, in NumPy: a reader (``folder``, ``table``, ``cub200`` ...) gives a
``Listing`` of a data set's images, ``decode`` makes a ``Dataset`` of ``Split``s of it,
with the images as arrays of uint8, and a sampler (``pk_batch`` ...) chooses the images
of a batch; ``read_image`` makes the square of a single one. On the device, inside the
jitted step: ``augment`` and ``strong_augment`` crop, flip and normalise; for evaluation
``center_crop_normalize`` does not flip.
"""

from ._augment import augment as augment
from ._augment import center_crop_normalize as center_crop_normalize
from ._augment import strong_augment as strong_augment
from ._decoding import BadImageError as BadImageError
from ._decoding import decode as decode
from ._glyphs import glyphs as glyphs
from ._read_image import read_image as read_image
from ._sampler import cub_batch as cub_batch
from ._sampler import in_shop_batch as in_shop_batch
from ._sampler import pk_batch as pk_batch
from ._sources import ImageFiles as ImageFiles
from ._sources import cars196 as cars196
from ._sources import cub200 as cub200
from ._sources import folder as folder
from ._sources import image_files as image_files
from ._sources import in_shop as in_shop
from ._sources import sop as sop
from ._sources import table as table
from ._sources import tfds as tfds
from ._types import Dataset as Dataset
from ._types import Images as Images
from ._types import ImageSource as ImageSource
from ._types import Listing as Listing
from ._types import Split as Split

__all__ = [
    "BadImageError",
    "Dataset",
    "ImageFiles",
    "ImageSource",
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
    "image_files",
    "in_shop",
    "in_shop_batch",
    "pk_batch",
    "read_image",
    "sop",
    "strong_augment",
    "table",
    "tfds",
]
