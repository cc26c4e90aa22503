"""Checks that a training set can fill a batch; errors say which sizes work."""

import numpy as np
from jaxtyping import Int

from jml.errors import UserError


def check_pk(
    batch_size: int,
    images_per_class: int,
    counts: Int[np.ndarray, " c"],
    labels: Int[np.ndarray, " n"],
    *,
    views: bool,
) -> None:
    """Checks a batch of P classes with K images each.

    Args:
        batch_size: images in the batch.
        images_per_class: images of each class in it.
        counts: images of each class that may be drawn.
        labels: class of each training image.
        views: whether an image that is alone in its class fills K places.

    Raises:
        UserError: the batch does not fit the training set, or holds a single class.
    """
    k = images_per_class
    _check_classes(counts, labels)
    images = int(np.sum(np.where((counts == 1) & views, k, counts)))
    held = f"a training set of {counts.sum()} images in {len(counts)} classes"
    if images < 2 * k:
        k = images // 2
        raise UserError(
            f"`images_per_class`: {images_per_class} images of each of two classes are"
            f" more than {held} has; pass {k} or less, and with {k} a `batch_size` of"
            f" {2 * k}."
        )
    if not 2 * k <= batch_size <= min(len(counts), images // k) * k:
        one = ": of a single class, it has no negative" * (k <= batch_size < 2 * k)
        raise UserError(
            f"`batch_size`: {batch_size} does not fit {held} with"
            f" `images_per_class={k}`{one}; {_what_fits(k, counts, images)}."
        )
    if batch_size % k:
        raise UserError(
            f"`batch_size`: {batch_size} is not a multiple of `images_per_class={k}`;"
            f" pass {batch_size - batch_size % k}."
        )


def check_pass(
    batch_size: int,
    least: Int[np.ndarray, " c"],
    labels: Int[np.ndarray, " n"],
) -> None:
    """Checks a batch that one pass over the classes fills.

    Args:
        batch_size: images in the batch.
        least: the fewest images that each class may add to the batch; classes that are
            never drawn are left out.
        labels: class of each training image.

    Raises:
        UserError: some batches would not be filled, or all would hold a single class.
    """
    _check_classes(least, labels)
    sure = int(least.sum())
    if batch_size > sure:
        raise UserError(
            f"`batch_size`: {batch_size} is more than the {sure} images that one pass"
            f" over the training set's {len(least)} classes is sure to give; pass a"
            f" smaller one, from {least.min() + 1} to {sure}."
        )
    if batch_size <= least.min():
        raise UserError(
            f"`batch_size`: {batch_size} is filled by a single class, and has no"
            f" negative; pass a larger one, from {least.min() + 1} to {sure}."
        )


def _check_classes(
    counts: Int[np.ndarray, " c"], labels: Int[np.ndarray, " n"]
) -> None:
    if len(counts) >= 2:
        return
    classes = len(np.unique(labels))
    others = ', or pass `singletons="views"`, which draws the others, too'
    have = "has" if len(counts) == 1 else "have"
    raise UserError(
        f"`labels`: {len(counts)} of {classes} training classes {have} two images or"
        f" more, and a batch needs two such classes; add images"
        f"{others * (classes >= 2)}."
    )


def _what_fits(k: int, counts: Int[np.ndarray, " c"], images: int) -> str:
    largest = min(len(counts), images // k) * k
    if largest == 2 * k:
        return f"{largest} is the only one that does"
    return f"a multiple of {k} from {2 * k} does, and {largest} is the largest"
