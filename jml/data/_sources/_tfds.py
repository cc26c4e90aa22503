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

from jml._names import shown, utf8_path
from jml._optional import need
from jml.data._types import Listing
from jml.errors import UserError

from ._listing import make_listing

LABELS = ("label", "class_id")  # names of the feature, class_id in SOP's builder
# Where the split of the field is not the first and second half of the classes.
STANDARD_SPLITS = {"stanford_online_products"}
# The ways to data roots that are not UTF-8: pictures are read until the process ends.
_opened = ExitStack()


class Record(NamedTuple):
    """A picture in one of the splits of a builder."""

    source: Sequence[dict[str, Any]]
    image: str  # name of its feature
    row: int
    place: str
    digest: bytes  # of the encoded image, which lists are made from anyway

    @property
    def name(self) -> str:
        """Data set, split and row."""
        return f"{self.place}[{self.row}]"

    def read(self) -> bytes:
        """The encoded image."""
        return self.source[self.row][self.image]

    def stamp(self) -> str:
        """Nothing more: the place names the version, which settles the bytes."""
        return ""

    def content(self, depth: int) -> bytes:
        """The digest, at any depth."""
        return self.digest


def tfds(
    name: str, root: str | os.PathLike | None = None, *, download: bool = False
) -> Listing:
    """Lists the images of a data set of TensorFlow Datasets.

    All its splits are pooled; the first half of the classes is for training and the
    second for testing. stanford_online_products keeps its own split, which is disjoint
    in classes already.

    Args:
        name: of the builder; it has features image and label.
        root: TFDS's data_dir, None for its default.
        download: prepare the data set as ArrayRecord if it is not there. Most stock
            builders need TensorFlow for that.

    Returns:
        The listing.

    Raises:
        UserError: TFDS is missing, knows no such data set, cannot prepare it, or it has
            no images and labels.
    """
    try:
        import tensorflow_datasets

        tensorflow_datasets.core  # noqa: B018 - imported when it is asked for
    except (ImportError, AttributeError):
        raise UserError(
            f"--dataset: tfds:{name} is read by tensorflow-datasets, which is not"
            " installed; run: pip install tensorflow-datasets array_record"
            " importlib_resources"
        ) from None
    flag = f"--dataset: tfds:{name}"
    way = root
    try:
        if root is not None and shown(path := os.path.abspath(root)) != path:
            if download or os.path.isdir(path):
                way = str(_opened.enter_context(utf8_path(Path(path))))
        builder = tensorflow_datasets.builder(name, data_dir=way)
    except tensorflow_datasets.core.registered.DatasetNotFoundError:
        raise UserError(
            f"{flag} is neither a data set of TFDS nor prepared in {str(root)!r}; check"
            " the name and --dataroot."
        ) from None
    except Exception as error:  # of a name that is none, or of damaged metadata
        raise UserError(
            f"{flag} cannot be opened: {_line(error)}; check the name and --dataroot."
        ) from None
    if not builder.info.splits:
        if not download:
            raise UserError(
                f"{flag} is not prepared in {_place(builder, way, root)}; pass"
                " --download."
            )
        builder = _prepare(tensorflow_datasets, flag, name, way)
    if builder.info.file_format.value == "array_record":
        need(flag, "array_record")
    features = builder.info.features
    label = next((key for key in LABELS if key in features), None)
    kind = tensorflow_datasets.features.Image
    images = [key for key in features if isinstance(features[key], kind)]
    if label is None or "image" not in images:
        raise UserError(
            f"{flag} has the features {', '.join(features)}; it takes one of the name"
            " image and one of the name label."
        )
    skip = tensorflow_datasets.decode.SkipDecoding()
    pictures, classes, splits = [], [], []
    for split in builder.info.splits:
        try:
            source = builder.as_data_source(split, decoders=dict.fromkeys(images, skip))
        except NotImplementedError:
            raise UserError(
                f"{flag} is prepared in {_place(builder, way, root)} as"
                f" {builder.info.file_format.value}, which has no random access;"
                " prepare it elsewhere: --download and another --dataroot."
            ) from None
        place = f"{builder.info.full_name} {split}"
        for row in range(len(source)):
            record = source[row]  # read once for both
            digest = hashlib.blake2b(record["image"], digest_size=16).digest()
            pictures.append(Record(source, "image", row, place, digest))
            classes.append(int(record[label]))
        splits += [split] * len(source)
    train = (
        np.array(splits) == "train"
        if name in STANDARD_SPLITS
        else _first_half(np.array(classes))
    )
    names = getattr(features[label], "int2str", str)
    return make_listing(
        name, pictures, classes, train=train, query=~train, class_name=names
    )


def _place(builder, way, root) -> str:
    return repr(str(builder.data_dir).replace(str(way), str(root)))


def _first_half(classes: np.ndarray) -> np.ndarray:
    distinct = np.unique(classes)
    return np.isin(classes, distinct[: (len(distinct) + 1) // 2])


def _prepare(tensorflow_datasets, flag: str, name: str, root) -> Any:
    builder = tensorflow_datasets.builder(
        name, data_dir=root, file_format="array_record"
    )
    try:
        with redirect_stdout(StringIO()):
            builder.download_and_prepare()
    except ImportError as error:
        raise UserError(
            f"{flag} needs {error.name} to be prepared, once; run: pip install"
            f" {error.name}, and this command again."
        ) from None
    except Exception as error:  # downloads and builders raise anything
        raise UserError(
            f"{flag} cannot be prepared: {_line(error)}; prepare it with TFDS's own"
            " tools, in the format array_record."
        ) from None
    return builder


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
