"""The fields of ``Config`` about data."""

from dataclasses import dataclass

from . import _flags as flags
from ._defaults import DATASETS


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """The images, and how they become batches; see ``Config``."""

    dataset: str = flags.data(
        None,
        f"data set to train on: {', '.join(DATASETS)}; default: folder if --dataroot is"
        " given, else glyphs",
    )
    dataroot: str | None = flags.data(
        None,
        "place of the data set: its folder, its table (csv), or the data_dir of TFDS",
        **flags.free,
    )
    nested: bool = flags.data(
        False, "images in folders below the folder of a class, too"
    )
    download: bool = flags.data(
        False, "preparation of a TFDS data set that is not there yet", **flags.free
    )
    image_size: int = flags.data(
        None, "side of the square that the network sees, in pixels", minimum=16
    )
    batch_size: int = flags.data(
        None, "number of images in a training step", **flags.count
    )
    sampler: str = flags.data(
        "pk",
        "composition of a training batch: P classes with K images each (pk), or random"
        " numbers of images of each class, as in the original code (cub, in-shop)",
        choices=("pk", "cub", "in-shop"),
    )
    images_per_class: int = flags.data(
        None, "number K of images of each class in a batch of --sampler pk", minimum=2
    )
    singletons: str = flags.data(
        "skip",
        "use of training classes with a single image: none (skip), or the image in all"
        " K places of its class, each augmented on its own (views)",
        choices=("skip", "views"),
    )
    augment: str = flags.data(
        "crop",
        "augmentation of training images: a random crop, mirrored or not (crop), or"
        " one of random size and shape, with changed colours (strong)",
        choices=("crop", "strong"),
    )
    cache: str | None = flags.data(
        None,
        "place where decoded images are kept; default: chosen by their size",
        choices=("device", "host", "disk", "none"),
        **flags.free,
    )
    cache_folder: str | None = flags.data(
        None,
        "folder of --cache disk; default: jml in the user's cache folder",
        **flags.free,
    )
    on_bad_image: str = flags.data(
        "error",
        "answer to an image that cannot be read: an error, or a run without it",
        choices=("error", "skip"),
    )
    batch_size_test: int = flags.data(
        256,
        "number of images in an evaluation step; CPUs choose their own",
        **flags.count,
        **flags.free,
    )
    nworkers: int = flags.data(
        4, "number of threads that decode images", **flags.count, **flags.free
    )
