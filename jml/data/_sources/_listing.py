"""From the images that a reader finds to a ``Listing``, checked."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool

from jml.data._singletons import left_out_queries, singletons_note
from jml.data._types import ImageSource, Listing

from ._copies import identify
from ._problems import Problems


def make_listing(
    name: str,
    images: Sequence[ImageSource],
    classes: Sequence,
    *,
    train: Bool[np.ndarray, " n"],
    query: Bool[np.ndarray, " n"],
    gallery: Bool[np.ndarray, " n"] | None = None,
    class_name: Callable[[Any], str] = str,
    expected: dict[str, tuple[int, int]] | None = None,
    argument: str = "root",
) -> Listing:
    """Puts a listing together from masks over its images.

    Args:
        name: of the data set.
        images: all of them.
        classes: the class of each image, in any form that sorts.
        train: True for the images to train on.
        query: True for those to search for.
        gallery: True for those to search among; None for the queries.
        class_name: from the form in `classes` to the name.
        expected: numbers of classes and images that the splits of a published data set
            have; a difference becomes a note.
        argument: what the reader's argument is called, for errors.

    Raises:
        UserError: a split is empty, there are fewer than two classes to train on, or no
            query has an image to find.
    """
    distinct, labels = np.unique(np.asarray(classes), return_inverse=True)
    rows = {"train": np.flatnonzero(train), "query": np.flatnonzero(query)}
    if gallery is not None:
        rows["gallery"] = np.flatnonzero(gallery)
    sizes = {
        split: (len(np.unique(labels[part])), len(part)) for split, part in rows.items()
    }
    problems = Problems("unpack the data set anew, or fix its lists", argument=argument)
    for split, (num_classes, num_images) in sizes.items():
        least = 1 + (split == "train")
        if num_classes < least:
            problems.add(
                f"{name} has {num_images} images in {num_classes} classes for {split};"
                f" it takes {least} class{'es' * (least > 1)} or more"
            )
    problems.check()
    notes = [
        f"{name}: {sizes[split][1]:,} images in {sizes[split][0]:,} classes for"
        f" {split}, where {num_images:,} in {num_classes:,} are expected"
        for split, (num_classes, num_images) in (expected or {}).items()
        if sizes[split] != (num_classes, num_images)
    ]
    notes += singletons_note(name, labels[rows["train"]])
    searched = None if gallery is None else labels[rows["gallery"]]
    notes += left_out_queries(name, labels[rows["query"]], searched, argument=argument)
    listing = Listing(
        name,
        images,
        labels.astype(np.int32),
        tuple(class_name(value) for value in distinct.tolist()),
        rows["train"],
        rows["query"],
        rows.get("gallery"),
        tuple(notes),
    )
    return identify(listing, published=expected is not None)
