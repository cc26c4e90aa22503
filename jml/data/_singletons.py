"""Classes with a single image: they form no positive pair, and find no other image."""

import numpy as np
from jaxtyping import Int

from jml.errors import UserError

CHOICES = ("skip", "views")


def singletons_note(
    name: str, labels: Int[np.ndarray, " t"], singletons: str = "skip"
) -> tuple[str, ...]:
    """Says what the sampler does with training classes of one image.

    Args:
        name: of the data set.
        labels: class of each training image.
        singletons: "skip" or "views", see ``pk_batch``.

    Returns:
        One line, or none where every class has two images or more.
    """
    _, counts = np.unique(labels, return_counts=True)
    singles = np.count_nonzero(counts == 1)
    if not singles:
        return ()
    fate = {
        "skip": 'and are never drawn; `singletons="views"` draws them, too',
        "views": "which fills all K places of its class, each augmented apart",
    }
    return (
        f"{name}: {singles:,} of {len(counts):,} training classes have a single image"
        f"{',' * (singletons == 'views')} {fate[singletons]}",
    )


def left_out_queries(
    name: str,
    query: Int[np.ndarray, " q"],
    gallery: Int[np.ndarray, " g"] | None,
    *,
    argument: str,
) -> tuple[str, ...]:
    """Counts the queries that have no other image of their class to find.

    Args:
        name: of the data set.
        query: class of each query.
        gallery: class of each image that is searched; None for the other queries.
        argument: what the caller's argument is called, for the error.

    Returns:
        One line, or none where every query has an image to find.

    Raises:
        UserError: no query has an image to find.
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
            f"{name}: left out, without an image of their class in the gallery:"
            f" {alone:,} of {len(query):,} queries"
        )
    if alone == len(query):
        where = "another of its class" if gallery is None else "one in the gallery"
        raise UserError(
            f"`{argument}`: {name} has {alone:,} images to search for, and none has"
            f" {where} to find; add such images."
        )
    return (note,) if alone else ()
