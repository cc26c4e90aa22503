"""From a ``Config`` to the parts of a run: device, data, batches, state and step."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from jml.data import (
    Dataset,
    Images,
    Split,
    augment,
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
    strong_augment,
    table,
    tfds,
)
from jml.errors import UserError
from jml.losses import init_proxies
from jml.models import create

from .config import Config
from .objective import Hyperparameters, make_objective
from .step import TrainState, init_state, make_optimizer, make_step

READERS = {
    "folder": folder,
    "csv": table,
    "CUB-200-2011": cub200,
    "Cars196": cars196,
    "SOP": sop,
    "In-Shop": in_shop,
}
SAMPLERS = {"pk": pk_batch, "cub": cub_batch, "in-shop": in_shop_batch}
AUGMENTS = {"crop": augment, "strong": strong_augment}


class Training(NamedTuple):
    """A network ready to train: ``step(state, images, labels) -> (state, loss)``."""

    graphdef: Any
    state: TrainState
    hyper: Hyperparameters
    step: Callable[..., tuple[TrainState, jax.Array]]


def pick_device(cuda: bool | None) -> jax.Device | None:
    """The device for ``--cuda``; None leaves the choice to JAX.

    Raises:
        UserError: a GPU was asked for and JAX sees none.
    """
    if cuda is None:
        return None
    try:
        return jax.devices("gpu" if cuda else "cpu")[0]
    except RuntimeError:
        raise UserError(
            "--cuda: JAX sees no GPU here; install jax[cuda13] or leave --cuda out."
        ) from None


def load_dataset(config: Config) -> Dataset:
    """Loads the images a little larger than the network sees them, to crop from."""
    side = round(config.image_size * 8 / 7)
    if config.dataset == "glyphs":
        return glyphs(image_size=side)
    kind, _, name = config.dataset.partition(":")
    if kind == "tfds":
        listing = tfds(name, config.dataroot, download=config.download)
    else:
        listing = READERS[kind](config.dataroot)
    return decode(
        listing,
        image_size=side,
        cache=None if config.cache == "device" else config.cache,
        cache_folder=config.cache_folder,
        workers=config.nworkers,
        skip_bad=config.on_bad_image == "skip",
        progress=lambda pictures, count: tqdm(
            pictures, "decoding", count, leave=False, disable=None
        ),
    )


def make_batches(
    config: Config, split: Split
) -> Callable[[int], tuple[jax.Array | np.ndarray, np.ndarray]]:
    """Returns ``batch(step) -> (images, classes)``, the classes counted from 0."""
    _, classes = np.unique(split.labels, return_inverse=True)
    classes = classes.astype(np.int32)
    indices = partial(
        SAMPLERS[config.sampler],
        split.labels,
        seed=config.seed,
        batch_size=config.batch_size,
    )
    if config.sampler == "pk":
        indices = partial(indices, images_per_class=config.images_per_class)
    indices(step=0)  # a batch that cannot be drawn is reported before the long work
    images = split.images
    if keeps_on_device(config.cache, images):
        images = jnp.asarray(images[:])

    def batch(step: int) -> tuple[jax.Array | np.ndarray, np.ndarray]:
        # A new array each time: a device may read it after this function returns.
        chosen = indices(step=step)
        return images[chosen], classes[chosen]

    return batch


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


def build(config: Config, *, num_classes: int) -> Training:
    """Makes the network, the loss and the optimizer of a run."""
    model = create(
        config.arch,
        embedding_dim=config.embedding_dim,
        l2norm=config.l2norm,
        weights=config.weights,
        seed=config.seed,
    )
    params: dict[str, Any] = {"model": model.params}
    key = jax.random.key(config.seed)
    if config.proxies is not None:
        params["proxies"] = init_proxies(
            jax.random.fold_in(key, 0),
            num_classes=num_classes,
            dim=config.embedding_dim,
        )
    optimizer = make_optimizer(
        params, freeze_bn=config.freeze_bn, freeze_proxies=config.proxies == "fixed"
    )
    # A mirrored photograph is one of the same thing; a mirrored character is not.
    flip = config.dataset != "glyphs"
    step = make_step(
        model.graphdef,
        make_objective(config),
        optimizer,
        augment=partial(AUGMENTS[config.augment], crop=config.image_size, flip=flip),
        freeze_bn=config.freeze_bn,
    )
    # What the loss does not have is None there, and the default here.
    given = {name: getattr(config, name) for name in Hyperparameters._fields}
    hyper = Hyperparameters(**{k: v for k, v in given.items() if v is not None})
    augment_key = jax.random.fold_in(key, 1)
    return Training(
        model.graphdef,
        init_state(params, model.batch_stats, optimizer),
        hyper,
        lambda state, images, labels: step(state, hyper, augment_key, images, labels),
    )
