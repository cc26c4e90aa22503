"""Images from TensorFlow Datasets, read at random from ArrayRecord files.

TensorFlow itself is not imported. Only preparing a stock data set may need it, once.
"""

import hashlib
import os
from collections.abc import Sequence
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jml._names import quoted, shown, utf8_path
from jml._optional import install, need
from jml.data._types import Listing
from jml.errors import UserError

from ._listing import make_listing

LABELS = ("label", "class_id")  # names of the feature; SOP's builder has class_id
# These builders have the split of the field. It is disjoint in classes.
STANDARD_SPLITS = {"stanford_online_products"}
# Paths to data roots whose names are not UTF-8: images are read until the process ends.
_opened = ExitStack()


class Record(NamedTuple):
    """An image in a split of a builder."""

    source: Sequence[dict[str, Any]]
    row: int
    place: str  # data set, version and split
    digest: bytes  # digest of the encoded image, computed when images are listed

    @property
    def name(self) -> str:
        """Data set, split and row."""
        return f"{self.place}[{self.row}]"

    def read(self) -> bytes:
        """Returns the encoded image."""
        return self.source[self.row]["image"]

    def stamp(self) -> str:
        """Returns nothing: the name has the version, which fixes the bytes."""
        return ""

    def content(self, depth: int) -> bytes:
        """Returns the digest, at any depth."""
        return self.digest


def tfds(
    name: str, root: str | os.PathLike | None = None, *, download: bool = False
) -> Listing:
    """Lists the images of a data set of TensorFlow Datasets.

    The first half of the classes of all splits is for training, the second for testing.
    stanford_online_products keeps its own split, which is disjoint in classes already.

    Args:
        name: of the builder; it has the features image and label.
        root: TFDS's data_dir, None for its default.
        download: prepare the data set as ArrayRecord if it is missing, which takes
            TensorFlow for most stock builders.

    Returns:
        The listing.

    Raises:
        UserError: TFDS is missing, knows no such data set, cannot prepare it, or it has
            no images and labels.
    """
    library = _import_tfds(name)
    builder, folder = _open(library, name, root, download=download)
    label, images = _features(library, name, builder)
    records, classes, splits = [], [], []
    decoders = dict.fromkeys(images, library.decode.SkipDecoding())
    for split, source in _random_access(name, builder, decoders, folder).items():
        place = f"{builder.info.full_name} {split}"
        for row in range(len(source)):
            record = source[row]  # read once for the digest and the label
            digest = hashlib.blake2b(record["image"], digest_size=16).digest()
            records.append(Record(source, row, place, digest))
            classes.append(int(record[label]))
        splits += [split] * len(source)
    if name in STANDARD_SPLITS:
        train = np.array(splits) == "train"
    else:
        distinct = np.unique(classes)
        train = np.isin(classes, distinct[: (len(distinct) + 1) // 2])
    return make_listing(
        name,
        records,
        classes,
        train=train,
        query=~train,
        class_name=getattr(builder.info.features[label], "int2str", str),
    )


def _import_tfds(name: str) -> Any:
    try:
        import tensorflow_datasets

        tensorflow_datasets.core  # noqa: B018 - imports what it needs only now
    except (ImportError, AttributeError):
        raise UserError(
            f"`name`: tfds:{name} is read by tensorflow-datasets, which is not"
            f" installed; run: {install('tensorflow_datasets', 'array_record')}"
        ) from None
    return tensorflow_datasets


def _open(
    library: Any, name: str, root: str | os.PathLike | None, *, download: bool
) -> tuple[Any, str]:
    """The builder of a prepared data set, and its folder for messages."""
    data_dir = root
    try:
        if root is not None and shown(path := os.path.abspath(root)) != path:
            if download or os.path.isdir(path):
                data_dir = str(_opened.enter_context(utf8_path(Path(path))))
        builder = library.builder(name, data_dir=data_dir)
    except library.core.registered.DatasetNotFoundError:
        raise UserError(
            f"`name`: tfds:{name} is neither a data set of TFDS nor prepared in"
            f" {quoted(root)}; check the name and `root`."
        ) from None
    except Exception as error:  # an impossible name, or damaged metadata
        what = f"tfds:{name} cannot be opened: {_line(error)}"
        raise UserError(f"`name`: {what}; check the name and `root`.") from None
    folder = quoted(str(builder.data_dir).replace(str(data_dir), str(root)))
    if not builder.info.splits:
        if not download:
            raise UserError(
                f"`name`: tfds:{name} is not prepared in {folder}; pass"
                " `download=True`."
            )
        builder = _prepare(library, name, data_dir)
    if builder.info.file_format.value == "array_record":
        need(f"reading tfds:{name}", "array_record")
    return builder, folder


def _prepare(library: Any, name: str, data_dir: str | os.PathLike | None) -> Any:
    builder = library.builder(name, data_dir=data_dir, file_format="array_record")
    try:
        with redirect_stdout(StringIO()):
            builder.download_and_prepare()
    except ImportError as error:
        raise UserError(
            f"`name`: tfds:{name} needs {error.name} to be prepared, once; run: pip"
            f" install {error.name}, and this command again."
        ) from None
    except Exception as error:  # downloads and builders raise anything
        raise UserError(
            f"`name`: tfds:{name} cannot be prepared: {_line(error)}; prepare it with"
            " TFDS's own tools, in the format array_record."
        ) from None
    return builder


def _features(library: Any, name: str, builder: Any) -> tuple[str, list[str]]:
    """The name of the feature label, and those of the features that are images."""
    features = builder.info.features
    label = next((key for key in LABELS if key in features), None)
    images = [k for k in features if isinstance(features[k], library.features.Image)]
    if label is None or "image" not in images:
        raise UserError(
            f"`name`: tfds:{name} has the features {', '.join(features)}; it takes one"
            " of the name image and one of the name label."
        )
    return label, images


def _random_access(
    name: str, builder: Any, decoders: dict[str, Any], folder: str
) -> dict[str, Sequence[dict[str, Any]]]:
    """The records of each split."""
    try:
        return {
            split: builder.as_data_source(split, decoders=decoders)
            for split in builder.info.splits
        }
    except NotImplementedError:
        kind = builder.info.file_format.value
        raise UserError(
            f"`name`: tfds:{name} is prepared in {folder} as {kind}, which has no"
            " random access; prepare it elsewhere: `download=True` and another `root`."
        ) from None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
