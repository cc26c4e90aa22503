"""The images of ``jml embed``: a folder's, a list's, or the run's own test images."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jml._names import quoted
from jml.app._flags_of_arguments import flags_for
from jml.data import Images, image_files
from jml.errors import UserError

from ._image_list import read_image_list


class ToEmbed(NamedTuple):
    """Images, and what they are called."""

    names: list[str]  # as the user has them
    labels: list[str | None] | None
    images: Sequence[Any] | Images  # as `TrainedModel.embed` takes them
    root: str | None  # the folder that relative names count from; None: they are none
    notes: tuple[str, ...] = ()


def what_to_embed(run: Path, what: Path | None, dataroot: str | None) -> ToEmbed:
    """Lists the images; decodes none.

    Args:
        run: the run.
        what: a folder of images or a list of them; None for the run's test images.
        dataroot: where the run's data set is now.

    Raises:
        UserError: there are none.
    """
    if what is None:
        return _tested(run, dataroot)
    if dataroot is not None:
        raise UserError(
            "--dataroot: it is where the run's own data set is, and"
            f" {quoted(what)} is embedded; leave one of the two out."
        )
    if not what.exists():
        raise UserError(
            f"no such folder or list of images: {quoted(what)}; pass another."
        )
    if what.is_dir():
        with flags_for(root="images"):
            paths, labels, notes = image_files(what)
        return ToEmbed(paths, labels, paths, os.getcwd(), notes)
    names, labels, root = read_image_list(what)
    paths = names if root == Path() else [os.path.join(root, name) for name in names]
    return ToEmbed(names, labels, paths, os.path.abspath(root))


def _tested(run: Path, dataroot: str | None) -> ToEmbed:
    from ._test_images import list_test_images

    if not run.is_dir():
        raise UserError(
            f"{quoted(run)} is no folder of a run, whose test images could be embedded;"
            " pass a folder of images after it."
        )
    tested = list_test_images(run, dataroot=dataroot)
    root = None if tested.dataset == "glyphs" else os.getcwd()
    labels: list[str | None] = [*tested.classes]
    return ToEmbed(tested.names, labels, tested.images, root, tested.notes)


class Rows:
    """Some rows of images that are no list, read when they are indexed."""

    def __init__(self, images: Images, rows: Sequence[int]) -> None:
        """Keeps both, and copies nothing."""
        self._images, self._rows = images, np.asarray(rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of images, side, side, 3."""
        return len(self._rows), *self._images.shape[1:]

    def __len__(self) -> int:
        """The number of rows."""
        return len(self._rows)

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        """Returns the images of a slice."""
        return self._images[self._rows[rows]]


def some(images: Sequence[Any] | Images, rows: Sequence[int]) -> Any:
    """Some of the images, as `TrainedModel.embed` takes them."""
    if hasattr(images, "shape"):
        return Rows(images, rows)  # type: ignore
    return [images[row] for row in rows]
