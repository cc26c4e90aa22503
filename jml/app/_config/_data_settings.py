"""The fields of ``Config`` about data."""

from dataclasses import dataclass

from . import _flags as flags
from ._defaults import DATASETS


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which images there are, and how they become batches; see ``Config``."""

    dataset: str = flags.data(
        None,
        f"what to train on: {', '.join(DATASETS)}; folder if --dataroot is given, else"
        " glyphs",
    )
    dataroot: str | None = flags.data(
        None,
        "where the data set is: its folder, its table (csv), TFDS's data_dir",
        **flags.free,
    )
    nested: bool = flags.data(
        False, "of a folder: read the images in folders below that of a class, too"
    )
    download: bool = flags.data(
        False, "prepare a data set of TFDS that is not there", **flags.free
    )
    image_size: int = flags.data(
        None, "side of the square the network sees", minimum=16
    )
    batch_size: int = flags.data(None, "images per training step", **flags.count)
    sampler: str = flags.data(
        "pk",
        "what a training batch is: P classes with K images each, or random numbers of"
        " each class's images as in the original",
        choices=("pk", "cub", "in-shop"),
    )
    images_per_class: int = flags.data(
        None, "K, images of each class in a training batch of --sampler pk", minimum=2
    )
    singletons: str = flags.data(
        "skip",
        "training classes with a single image. skip: never drawn; views: the image"
        " fills all K places of its class, each augmented apart",
        choices=("skip", "views"),
    )
    augment: str = flags.data(
        "crop",
        "crop: a random crop, mirrored or not; strong: of random size and shape, with"
        " other colours",
        choices=("crop", "strong"),
    )
    cache: str | None = flags.data(
        None,
        "where decoded images stay; default: by their size",
        choices=("device", "host", "disk", "none"),
        **flags.free,
    )
    cache_folder: str | None = flags.data(
        None, "for --cache disk; default: jml in the user's cache", **flags.free
    )
    on_bad_image: str = flags.data(
        "error", "what to do about unreadable images", choices=("error", "skip")
    )
    batch_size_test: int = flags.data(
        256, "images per evaluation step", **flags.count, **flags.free
    )
    nworkers: int = flags.data(
        4, "threads that decode images", **flags.count, **flags.free
    )
