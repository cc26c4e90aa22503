"""Which images make up a training batch, as a pure function of (seed, step)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jml.errors import UserError


class Classes(NamedTuple):
    """The images of each class: runs of `order`."""

    order: Int[np.ndarray, " n"]  # images, sorted by class
    starts: Int[np.ndarray, " c"]  # where each class begins,
    counts: Int[np.ndarray, " c"]  # and how many images it has

    def draw(self, rng: np.random.Generator, c: int, k: int) -> Int[np.ndarray, " k"]:
        """`k` images of one class, each equally often, up to one."""
        # np.resize repeats a permutation that is too short, and cuts one too long.
        picks = np.resize(rng.permutation(self.counts[c]), k)
        return self.order[self.starts[c] + picks]


def group(labels: Int[np.ndarray, " n"], *, fewest: int = 1) -> Classes:
    """Finds the images of every class that has `fewest` or more."""
    order = np.argsort(labels, kind="stable")
    grouped = np.asarray(labels)[order]
    _, starts, counts = np.unique(grouped, return_index=True, return_counts=True)
    enough = counts >= fewest
    return Classes(order, starts[enough], counts[enough])


def pk_batch(
    labels: Int[np.ndarray, " n"],
    *,
    seed: int,
    step: int,
    batch_size: int,
    images_per_class: int,
) -> Int[np.ndarray, " batch_size"]:
    """Indices of one batch of P classes with K images each.

    The ``P = batch_size / images_per_class`` classes are drawn without replacement, and
    so are the images of each. A class with too few images gives each of them equally
    often, up to one. Images of a class stand next to each other. Classes with a single
    image are passed over, as it makes no pair.

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
    classes = group(labels, fewest=min(2, images_per_class))
    _check_batch_size(batch_size, images_per_class, classes)
    rng = np.random.default_rng([seed, step])
    chosen = rng.choice(
        len(classes.counts), batch_size // images_per_class, replace=False
    )
    return np.concatenate([classes.draw(rng, c, images_per_class) for c in chosen])


def cub_batch(
    labels: Int[np.ndarray, " n"], *, seed: int, step: int, batch_size: int
) -> Int[np.ndarray, " batch_size"]:
    """Indices of one batch as the original draws them from CUB-200-2011.

    Random classes, each with 5 to 10 random images, until the batch is full; cut to its
    size and shuffled. A class with fewer images gives all of them.

    Args:
        labels: class of each training image.
        seed: seed of the run, 0 or more.
        step: number of the batch, 0 or more.
        batch_size: images in the batch.

    Returns:
        Indices into `labels`.

    Raises:
        UserError: the classes cannot fill the batch.
    """
    return _fill_batch(
        group(labels, fewest=2),
        lambda rng, count: min(count, rng.integers(5, 10, endpoint=True)),
        np.random.default_rng([seed, step]),
        batch_size,
    )


def in_shop_batch(
    labels: Int[np.ndarray, " n"], *, seed: int, step: int, batch_size: int
) -> Int[np.ndarray, " batch_size"]:
    """Indices of one batch as the original draws them from In-shop.

    Random classes, each with a random number of its images, from half to all of them,
    until the batch is full; cut to its size and shuffled. Classes with a single image
    are passed over. Arguments, result and error are those of ``cub_batch``.
    """
    return _fill_batch(
        group(labels, fewest=2),
        lambda rng, count: rng.integers(count // 2, count, endpoint=True),
        np.random.default_rng([seed, step]),
        batch_size,
    )


def _fill_batch(
    classes: Classes,
    images_of: Callable[[np.random.Generator, int], int],
    rng: np.random.Generator,
    batch_size: int,
) -> Int[np.ndarray, " batch_size"]:
    chosen: list[np.ndarray] = []
    missing = batch_size
    for c in rng.permutation(len(classes.counts)):
        picks = classes.draw(rng, c, images_of(rng, int(classes.counts[c])))
        chosen.append(picks)
        missing -= len(picks)
        if missing <= 0:
            return rng.permutation(np.concatenate(chosen)[:batch_size])
    raise UserError(
        f"--batch_size: {batch_size} is more than one pass over the training set's"
        f" {len(classes.counts)} classes gave, {batch_size - missing} images; pass a"
        " smaller one."
    )


def _check_batch_size(batch_size, images_per_class, classes: Classes) -> None:
    number, images = len(classes.counts), int(classes.counts.sum())
    largest = min(number, images // images_per_class) * images_per_class
    if not images_per_class <= batch_size <= largest:
        raise UserError(
            f"--batch_size: {batch_size} does not fit a training set of {images} images"
            f" in {number} classes with --images_per_class {images_per_class};"
            f" {largest} is the largest that does."
        )
    if batch_size % images_per_class:
        below = batch_size - batch_size % images_per_class
        raise UserError(
            f"--batch_size: {batch_size} is not a multiple of --images_per_class"
            f" {images_per_class}; pass {below}."
        )
