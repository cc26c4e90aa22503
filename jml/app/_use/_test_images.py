"""The images that a run was tested on, for commands that use its network."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Int32

from jml.app._inputs import list_images, load_dataset
from jml.app._run_folder import read_moved_config
from jml.data import Images, ImageSource, Listing, Split


class TestImages(NamedTuple):
    """A run's test images: the queries and then, if there is one, the gallery."""

    __test__ = False  # pytest collects classes of such a name

    dataset: str  # name of the data set
    images: Sequence[ImageSource] | Images  # as `TrainedModel.embed` takes them
    names: list[str]  # the path of each, or a name that stays the same
    labels: Int32[np.ndarray, " n"]
    class_names: tuple[str, ...]
    query: Int[np.ndarray, " q"]  # rows of those that search
    gallery: Int[np.ndarray, " g"] | None  # rows that are searched; None: the queries
    trained: Bool[np.ndarray, " n"]  # whether its class was trained on
    notes: tuple[str, ...] = ()  # what the user should know, a line each

    @property
    def classes(self) -> list[str]:
        """The name of the class of each."""
        return [self.class_names[label] for label in self.labels.tolist()]


def list_test_images(folder: Path, *, dataroot: str | None = None) -> TestImages:
    """Lists the images that a run was tested on; nothing but characters is decoded.

    Args:
        folder: folder of the run.
        dataroot: where the data set is now; None if it is where it was.

    Raises:
        UserError: the folder holds no run, or its data set is not there.
    """
    config = read_moved_config(folder, dataroot)
    listing = list_images(config)
    if listing is None:
        dataset = load_dataset(config, None)
        return _drawn(dataset.query, dataset.train, dataset.class_names)
    return _listed(listing)


def _drawn(query: Split, train: Split, class_names: tuple[str, ...]) -> TestImages:
    total = len(query.labels)
    return TestImages(
        "glyphs",
        query.images,
        [f"glyphs/{row:05d}" for row in range(total)],
        query.labels,
        class_names,
        np.arange(total),
        None,
        np.isin(query.labels, train.labels),
    )


def _listed(listing: Listing) -> TestImages:
    parts = [listing.query, () if listing.gallery is None else listing.gallery]
    rows = np.array(list(dict.fromkeys(np.concatenate(parts).tolist())), int)
    place = np.full(len(listing.images), -1)
    place[rows] = np.arange(len(rows))
    images = [listing.images[row] for row in rows.tolist()]
    labels = listing.labels[rows]
    return TestImages(
        listing.name,
        images,
        [image.name for image in images],
        labels,
        listing.class_names,
        place[listing.query],
        None if listing.gallery is None else place[listing.gallery],
        np.isin(labels, listing.labels[listing.train]),
        listing.notes,
    )
