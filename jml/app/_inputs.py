"""From a ``Config`` to the data set and its batches."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Int

from jml._optional import progress_bar
from jml.app._config import Config
from jml.app._flags_of_arguments import flags_for
from jml.data import (
    Dataset,
    Images,
    Listing,
    Split,
    cars196,
    cub200,
    cub_batch,
    decode,
    folder,
    glyphs,
    in_shop,
    in_shop_batch,
    pk_batch,
    sop,
    table,
    tfds,
)
from jml.training import batch_sharding, local_rows, replicate, split_batch

from ._embed import Known, check_findable

READERS = {
    "folder": folder,
    "csv": table,
    "CUB-200-2011": cub200,
    "Cars196": cars196,
    "SOP": sop,
    "In-Shop": in_shop,
}
SAMPLERS = {"pk": pk_batch, "cub": cub_batch, "in-shop": in_shop_batch}


def load_dataset(config: Config, *, to_train: bool = False) -> Dataset:
    """Loads the images a little larger than the network sees them, to crop from.

    Raises:
        UserError: a file cannot be read, no query has an image to find or, `to_train`,
            no batch can be drawn.
    """
    side = round(config.image_size * 8 / 7)
    if config.dataset == "glyphs":
        return glyphs(image_size=side)
    kind, _, name = config.dataset.partition(":")
    if kind == "tfds":
        with flags_for(name="--dataset"):
            listing = tfds(name, config.dataroot, download=config.download)
    elif kind == "folder":
        listing = folder(config.dataroot, nested=config.nested)
    else:
        listing = READERS[kind](config.dataroot)
    if to_train:  # a batch that cannot be drawn is reported before the long work
        with flags_for(labels="--dataroot"):
            draws(config, listing.labels[listing.train])(step=0)
    check_findable(
        listing.name,
        _known_of(listing, listing.query),
        None if listing.gallery is None else _known_of(listing, listing.gallery),
    )
    dataset = decode(
        listing,
        image_size=side,
        cache=None if config.cache == "device" else config.cache,
        cache_folder=config.cache_folder,
        workers=config.nworkers,
        skip_bad=config.on_bad_image == "skip",
        singletons=config.singletons,
        progress=lambda images, total: progress_bar(images, "decoding", total),
    )
    if config.on_bad_image == "skip":
        check_findable(dataset.name, dataset.query, dataset.gallery)  # what is left
    return dataset


def _known_of(listing: Listing, rows: Int[np.ndarray, " n"]) -> Known:
    numbers = listing.labels, listing.ids, listing.groups
    return Known(*(None if part is None else part[rows] for part in numbers))


class Batches(NamedTuple):
    """Which images make up the batch of a step, and this process's rows of it."""

    indices: Callable[..., Int[np.ndarray, " b"]]  # of all of it, by step=
    batch: Callable[[int], tuple[jax.Array | np.ndarray, np.ndarray]]
    num_classes: int  # that are drawn from


def draws(
    config: Config, labels: Int[np.ndarray, " n"]
) -> Callable[..., Int[np.ndarray, " b"]]:
    """Returns the indices of a batch of these training images, by ``step=``."""
    options = {}
    if config.sampler == "pk":
        options["images_per_class"] = config.images_per_class
        options["singletons"] = config.singletons
    return partial(
        SAMPLERS[config.sampler],
        labels,
        seed=config.seed,
        batch_size=config.batch_size,
        **options,
    )


def make_batches(config: Config, split: Split, mesh: Mesh) -> Batches:
    """The batches of a run: images, and their classes counted from 0.

    Classes that are never drawn have no number, and no proxy.
    """
    _, same, counts = np.unique(split.labels, return_inverse=True, return_counts=True)
    used = counts[same] >= (1 if config.singletons == "views" else 2)
    classes = np.full(len(used), -1, np.int32)
    known, classes[used] = np.unique(split.labels[used], return_inverse=True)
    indices = draws(config, split.labels)
    with flags_for(labels="--dataroot"):
        indices(step=0)
    rows = local_rows(config.batch_size)
    on_device = keeps_on_device(config.cache, split.images)
    images = replicate(mesh, split.images[:]) if on_device else split.images
    sharding = batch_sharding(mesh)
    take = jax.jit(lambda images, chosen: images[chosen], out_shardings=sharding)

    def batch(step: int) -> tuple[jax.Array | np.ndarray, np.ndarray]:
        # A new array each time: a device may read it after this function returns.
        chosen = indices(step=step)[rows]
        if on_device:
            return take(images, split_batch(mesh, chosen)), classes[chosen]
        return images[chosen], classes[chosen]

    return Batches(indices, batch, len(known))


def keeps_on_device(cache: str | None, images: Images) -> bool:
    """Whether the training images stay on the device: as asked, or if a GPU has room.

    Half of what it has is left to the network.
    """
    if cache is not None:
        return cache == "device"
    memory = (default_device().memory_stats() or {}).get("bytes_limit", 0)
    return np.prod(images.shape, dtype=np.int64) < memory / 2


def default_device() -> jax.Device:
    """Where JAX puts what it makes."""
    return jnp.zeros(()).devices().pop()
