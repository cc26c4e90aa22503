"""Which images make up a training batch: P classes, K images of each."""

import numpy as np
from jaxtyping import Int

from jml.errors import UserError


def pk_batch(
    labels: Int[np.ndarray, " n"],
    *,
    seed: int,
    step: int,
    batch_size: int,
    images_per_class: int,
) -> Int[np.ndarray, " batch_size"]:
    """Indices of one batch, a pure function of `seed` and `step`.

    The ``batch_size / images_per_class`` classes are drawn without replacement, and so
    are the images of each. A class with too few images gives each of them equally
    often, up to one. Images of a class stand next to each other.

    Args:
        labels: class of each training image.
        seed: seed of the run, 0 or more.
        step: number of the batch, 0 or more.
        batch_size: images in the batch.
        images_per_class: images of each class in it.

    Returns:
        Indices into `labels`.

    Raises:
        UserError: `batch_size` is no multiple of `images_per_class`, or more than the
            training set can fill; names the largest that works.

    Example:
        >>> labels = np.repeat([0, 1, 2], 5)
        >>> batch = pk_batch(labels, seed=0, step=7, batch_size=4, images_per_class=2)
        >>> len(batch), len(set(labels[batch].tolist()))
        (4, 2)
    """
    order = np.argsort(labels, kind="stable")
    grouped = np.asarray(labels)[order]
    _, starts, counts = np.unique(grouped, return_index=True, return_counts=True)
    _check_batch_size(
        batch_size, images_per_class, classes=len(counts), images=len(order)
    )
    rng = np.random.default_rng([seed, step])
    classes = rng.choice(len(counts), batch_size // images_per_class, replace=False)
    # np.resize repeats a permutation that is too short, and cuts one that is too long.
    picks = [np.resize(rng.permutation(counts[c]), images_per_class) for c in classes]
    return order[(starts[classes][:, None] + np.stack(picks)).ravel()]


def _check_batch_size(batch_size, images_per_class, *, classes, images) -> None:
    largest = min(classes, images // images_per_class) * images_per_class
    if not images_per_class <= batch_size <= largest:
        raise UserError(
            f"--batch_size: {batch_size} does not fit a training set of {images} images"
            f" in {classes} classes with --images_per_class {images_per_class};"
            f" {largest} is the largest that does."
        )
    if batch_size % images_per_class:
        below = batch_size - batch_size % images_per_class
        raise UserError(
            f"--batch_size: {batch_size} is not a multiple of --images_per_class"
            f" {images_per_class}; pass {below}."
        )
