"""Readers of data sets: each finds the images, their classes and the splits.

One module for each kind of source: list files, class folders, tables, TFDS. All end in
``make_listing``, which checks what they found.
"""

from ._cars import cars196 as cars196
from ._class_folders import folder as folder
from ._files import File as File
from ._image_files import ImageFiles as ImageFiles
from ._image_files import image_files as image_files
from ._list_files import cub200 as cub200
from ._list_files import in_shop as in_shop
from ._list_files import sop as sop
from ._table import table as table
from ._tfds import tfds as tfds

__all__ = [
    "File",
    "ImageFiles",
    "cars196",
    "cub200",
    "folder",
    "image_files",
    "in_shop",
    "sop",
    "table",
    "tfds",
]
