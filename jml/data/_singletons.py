"""Classes with a single image: they make no pair, and no query for one another."""

import numpy as np
from jaxtyping import Int

from jml.errors import UserError

CHOICES = ("skip", "views")


def singletons_note(
    name: str, labels: Int[np.ndarray, " t"], singletons: str = "skip"
) -> tuple[str, ...]:
    """What becomes of the training classes with one image: a line, where there are any.

    Args:
        name: of the data set.
        labels: class of each training image.
        singletons: "skip" or "views", see ``pk_batch``.
    """
    _, counts = np.unique(labels, return_counts=True)
    singles = np.count_nonzero(counts == 1)
    if not singles:
        return ()
    fate = {
        "skip": "and are never drawn; --singletons views draws them, too",
        "views": "which fills all K places of its class, each augmented apart",
    }
    return (
        f"{name}: {singles:,} of {len(counts):,} training classes have a single image"
        f"{',' * (singletons == 'views')} {fate[singletons]}",
    )


def left_out_queries(
    name: str, query: Int[np.ndarray, " q"], gallery: Int[np.ndarray, " g"] | None
) -> tuple[str, ...]:
    """How many queries have nothing to find: a line, where there are any.

    Args:
        name: of the data set.
        query: class of each query.
        gallery: class of each image that is searched; None for the other queries.

    Raises:
        UserError: none has.
    """
    if gallery is None:
        _, counts = np.unique(query, return_counts=True)
        alone = np.count_nonzero(counts == 1)  # as many classes as images
        note = (
            f"{name}: {alone:,} of {len(counts):,} test classes have a single image,"
            " which stays in the gallery and is no query"
        )
    else:
        alone = np.count_nonzero(~np.isin(query, gallery))
        note = (
            f"{name}: {alone:,} of {len(query):,} queries have no image of their class"
            " in the gallery and are left out"
        )
    if alone == len(query):
        where = "another of its class" if gallery is None else "one in the gallery"
        raise UserError(
            f"--dataroot: {name} has {alone:,} images to search for, and none has"
            f" {where} to find; add such images."
        )
    return (note,) if alone else ()
