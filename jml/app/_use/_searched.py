"""What ``jml search`` searches: the vectors, what embeds queries, and the pictures."""

import os
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jml._optional import counted_bar
from jml._run_files import CONFIG
from jml.app._flags_of_arguments import flags_for, of_finished_run
from jml.data import read_image
from jml.inference import Embeddings, TrainedModel, load

from ._gallery import check_embeddings, load_model, open_embeddings
from ._test_images import TestImages, list_test_images

SIDE = 128  # pixels of a picture that is no file
PictureOf = Callable[[int], Any]  # of a row: a file, or pixels, or what gives these


class Searched(NamedTuple):
    """Embeddings to search, and what made them."""

    embeddings: Embeddings
    model: TrainedModel
    picture_of: PictureOf


def searched_run(options: Namespace, notify: Callable[[str], None]) -> Searched:
    """Embeds the test images of a run."""
    with flags_for(path="run", best="--best"):
        model = load(options.what, best=options.best)
    with of_finished_run():
        tested = list_test_images(options.what, dataroot=options.dataroot)
    notify(f"embedding {len(tested.names):,} test images")
    with of_finished_run():
        vectors = model.embed(tested.images, progress=counted_bar("embedding"))
    embeddings = Embeddings(vectors, tested.names, [*tested.classes], model.model)
    check_embeddings(options.what, embeddings)
    return Searched(embeddings, model, picture_of_test_images(tested))


def searched_file(options: Namespace) -> Searched:
    """Reads the embeddings, and loads the model that made them."""
    embeddings = open_embeddings(options.what)
    model = load_model(options.what, embeddings, options.model)
    root = embeddings.model.get("root", "")
    if root is not None:  # the images are files
        return Searched(embeddings, model, picture_of_files(embeddings))
    if not options.html:
        return Searched(embeddings, model, lambda row: None)
    return Searched(embeddings, model, picture_of_run(embeddings, model.folder))


def picture_of_run(embeddings: Embeddings, folder: Path) -> PictureOf:
    """The picture of each row that is a test image of a run, such as a drawn one."""
    if not (folder / CONFIG).is_file():
        return lambda row: None
    tested = list_test_images(folder)
    rows = {name: row for row, name in enumerate(tested.names)}
    of_test = picture_of_test_images(tested)

    def picture_of(row: int) -> Any:
        found = rows.get(embeddings.paths[row])
        return None if found is None else of_test(found)

    return picture_of


def picture_of_files(embeddings: Embeddings) -> PictureOf:
    """The file of each row, by the folder that relative paths count from."""
    root = str(embeddings.model.get("root") or "")
    return lambda row: os.path.join(root, embeddings.paths[row])


def picture_of_test_images(tested: TestImages) -> PictureOf:
    """The picture of each test image: its file, or its pixels."""

    def picture_of(row: int) -> Any:
        if hasattr(tested.images, "shape"):
            return lambda: np.asarray(tested.images[row : row + 1])[0]
        image: Any = tested.images[row]
        return getattr(image, "path", None) or partial(
            read_image, image, image_size=SIDE
        )

    return picture_of
