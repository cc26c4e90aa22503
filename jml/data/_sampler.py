"""Which images make up a training batch, as a pure function of (seed, step)."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from jml._checks import check_count
from jml._value_checks import check_integer

from ._batch_sizes import check_pass, check_pk
from ._singletons import CHOICES


class Classes(NamedTuple):
    """The images of each class: runs of `order`."""

    order: Int[np.ndarray, " n"]  # images, sorted by class
    starts: Int[np.ndarray, " c"]  # where each class begins,
    counts: Int[np.ndarray, " c"]  # and how many images it has

    def draw(self, rng: np.random.Generator, c: int, k: int) -> Int[np.ndarray, " k"]:
        """Draws `k` images of one class, repeating them if it has fewer."""
        # np.resize repeats a permutation that is too short, and cuts one too long.
        picks = np.resize(rng.permutation(self.counts[c]), k)
        return self.order[self.starts[c] + picks]


def group(labels: Int[np.ndarray, " n"], *, fewest: int = 1) -> Classes:
    """Finds the images of each class that has `fewest` or more."""
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
    singletons: str = "skip",
) -> Int[np.ndarray, " batch_size"]:
    """Indices of one batch of P classes with K images each.

    The ``P = batch_size / images_per_class`` classes are drawn without replacement, and
    so are the images of each. If a class has too few, its images are repeated equally
    often, or some of them once more. Images of a class stand next to each other.

    Args:
        labels: class of each training image.
        seed: seed of the run, 0 or more.
        step: number of the batch, 0 or more.
        batch_size: images in the batch.
        images_per_class: images of each class in it.
        singletons: what becomes of classes with a single image, which makes no pair:
            "skip" never draws them (unless K is 1), "views" fills all K places with
            the image, to be augmented apart in each.

    Returns:
        Indices into `labels`.

    Raises:
        UserError: `batch_size` is no multiple of `images_per_class`, holds a single
            class and so no negative, or is more than the training set can fill; says
            what works.
        ValueError: an argument is of the wrong kind or out of range.

    Example:
        >>> labels = np.repeat([0, 1, 2], 5)
        >>> batch = pk_batch(labels, seed=0, step=7, batch_size=4, images_per_class=2)
        >>> len(batch), len(set(labels[batch].tolist()))
        (4, 2)
    """
    labels = _checked("pk_batch", labels, seed, step, batch_size)
    check_count("pk_batch", "images_per_class", images_per_class)
    if singletons not in CHOICES:
        raise ValueError(
            f"pk_batch: `singletons` must be one of {', '.join(CHOICES)}, got"
            f" {singletons!r}"
        )
    views = singletons == "views"
    classes = group(labels, fewest=1 if views else min(2, images_per_class))
    check_pk(batch_size, images_per_class, classes.counts, labels, views=views)
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
        UserError: the classes cannot be sure to fill the batch; says what works.
    """
    labels = _checked("cub_batch", labels, seed, step, batch_size)
    return _fill_batch(
        labels,
        lambda counts: np.minimum(counts, 5),
        lambda rng, count: min(count, int(rng.integers(5, 10, endpoint=True))),
        np.random.default_rng([seed, step]),
        batch_size,
    )


def in_shop_batch(
    labels: Int[np.ndarray, " n"], *, seed: int, step: int, batch_size: int
) -> Int[np.ndarray, " batch_size"]:
    """Indices of one batch as the original draws them from In-shop.

    Random classes, each with a random number of its images, from half to all of them,
    until the batch is full; cut to its size and shuffled. Classes with a single image
    are skipped. Arguments, result and error are those of ``cub_batch``.
    """
    labels = _checked("in_shop_batch", labels, seed, step, batch_size)
    return _fill_batch(
        labels,
        lambda counts: counts // 2,
        lambda rng, count: int(rng.integers(count // 2, count, endpoint=True)),
        np.random.default_rng([seed, step]),
        batch_size,
    )


def _checked(name: str, labels, seed, step, batch_size) -> np.ndarray:
    """The labels; raises a ValueError for arguments of the wrong kind."""
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"{name}: `labels` must be integer [n], got {labels.shape}")
    check_integer(name, "seed", seed)
    check_integer(name, "step", step)
    check_integer(name, "batch_size", batch_size, least=None)
    return labels


def _fill_batch(
    labels: Int[np.ndarray, " n"],
    fewest_of: Callable[[Int[np.ndarray, " c"]], Int[np.ndarray, " c"]],
    images_of: Callable[[np.random.Generator, int], int],
    rng: np.random.Generator,
    batch_size: int,
) -> Int[np.ndarray, " batch_size"]:
    """Draws classes in random order until the batch is full.

    Args:
        labels: class of each training image.
        fewest_of: the fewest images that ``images_of`` gives for each class.
        images_of: how many images to draw of a class that has so many.
        rng: randomness.
        batch_size: images in the batch.
    """
    classes = group(labels, fewest=2)
    check_pass(batch_size, fewest_of(classes.counts), labels)
    chosen: list[np.ndarray] = []
    missing = batch_size
    for c in rng.permutation(len(classes.counts)):
        picks = classes.draw(rng, c, images_of(rng, int(classes.counts[c])))
        chosen.append(picks)
        missing -= len(picks)
        if missing <= 0:
            break
    return rng.permutation(np.concatenate(chosen)[:batch_size])
