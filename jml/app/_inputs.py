"""The inputs of a run: its data set, and the batch of each step."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Bool, Int

from jml._optional import counted_bar
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

from ._embed import check_findable, tested_facts

READERS = {
    "folder": folder,
    "csv": table,
    "CUB-200-2011": cub200,
    "Cars196": cars196,
    "SOP": sop,
    "In-Shop": in_shop,
}
SAMPLERS = {"pk": pk_batch, "cub": cub_batch, "in-shop": in_shop_batch}


def side_of(config: Config) -> int:
    """The side of a run's images, somewhat more than that of the network's crops."""
    return round(config.image_size * 8 / 7)


def list_images(config: Config, *, to_train: bool = False) -> Listing | None:
    """Lists the images of a run; None for glyphs, which have no files.

    Args:
        config: configuration of the run.
        to_train: check that batches can be drawn.

    Raises:
        UserError: a file cannot be read, no query has an image to find, or no batch
            can be drawn.
    """
    if config.dataset == "glyphs":
        return None
    kind, _, name = config.dataset.partition(":")
    root = str(config.dataroot)  # only tfds can do without, as `Config` checks
    if kind == "tfds":
        with flags_for(name="--dataset"):
            listing = tfds(name, config.dataroot, download=config.download)
    elif kind == "folder":
        listing = folder(root, nested=config.nested)
    else:
        listing = READERS[kind](root)
    if to_train:  # an error comes now, before the images are decoded
        with flags_for(labels="--dataroot"):
            make_sampler(config, listing.labels[listing.train])(step=0)
    check_findable(listing.name, *tested_facts(listing))
    return listing


def load_dataset(config: Config, listing: Listing | None) -> Dataset:
    """Decodes the images of a run that `list_images` has listed.

    Raises:
        UserError: an image cannot be read, or no query that is left has one to find.
    """
    if listing is None:
        keep = "disk" if config.cache in (None, "device", "disk") else "host"
        return glyphs(
            image_size=side_of(config), cache=keep, cache_folder=config.cache_folder
        )
    dataset = decode(
        listing,
        image_size=side_of(config),
        cache=None if config.cache == "device" else config.cache,
        cache_folder=config.cache_folder,
        workers=config.nworkers,
        skip_bad=config.on_bad_image == "skip",
        singletons=config.singletons,
        progress=counted_bar("decoding"),
    )
    if config.on_bad_image == "skip":
        check_findable(dataset.name, dataset.query, dataset.gallery)  # what is left
    return dataset


class Batches(NamedTuple):
    """The batches of a run, by step."""

    indices: Callable[..., Int[np.ndarray, " b"]]  # of a whole batch, by step=
    # The images and labels that this process provides for the batch of a step.
    batch: Callable[[int], tuple[jax.Array | np.ndarray, np.ndarray]]
    num_classes: int  # the classes that are drawn


def make_sampler(
    config: Config, labels: Int[np.ndarray, " n"]
) -> Callable[..., Int[np.ndarray, " b"]]:
    """Returns ``sample(step=)``, the indices of a batch of these training images."""
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


def drawn(config: Config, labels: Int[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which training images are ever in a batch."""
    _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return counts[index] >= (1 if config.singletons == "views" else 2)


def make_batches(config: Config, split: Split, mesh: Mesh) -> Batches:
    """Returns the batches of a run: images, and their classes counted from 0.

    Classes that are never drawn are not counted, and get no proxy.
    """
    is_drawn = drawn(config, split.labels)
    classes = np.full(len(is_drawn), -1, np.int32)
    known, classes[is_drawn] = np.unique(split.labels[is_drawn], return_inverse=True)
    indices = make_sampler(config, split.labels)
    with flags_for(labels="--dataroot"):
        indices(step=0)
    rows = local_rows(config.batch_size)
    on_device = keeps_on_device(config.cache, split.images)
    images = replicate(mesh, split.images[:]) if on_device else split.images
    sharding = batch_sharding(mesh)
    take = jax.jit(lambda images, rows: images[rows], out_shardings=sharding)

    def batch(step: int) -> tuple[jax.Array | np.ndarray, np.ndarray]:
        # A new array each time: a device may read it after this function returns.
        sampled = indices(step=step)[rows]
        if on_device:
            return take(images, split_batch(mesh, sampled)), classes[sampled]
        return images[sampled], classes[sampled]

    return Batches(indices, batch, len(known))


def keeps_on_device(cache: str | None, images: Images) -> bool:
    """Returns whether the training images stay on the device.

    By default they do if they take less than half of a GPU's memory.
    """
    if cache is not None:
        return cache == "device"
    memory = (default_device().memory_stats() or {}).get("bytes_limit", 0)
    return np.prod(images.shape, dtype=np.int64) < memory / 2


def default_device() -> Any:  # jax.Device, which pyright takes for a variable
    """Returns the device on which JAX makes arrays."""
    return jax.device_put(np.zeros(())).devices().pop()  # jnp.zeros: a program
