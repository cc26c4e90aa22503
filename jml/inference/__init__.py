"""A trained network in use: images in, embeddings out, and what to do with those."""

from typing import TYPE_CHECKING

from jml._first_use import import_on_first_use

if TYPE_CHECKING:
    from ._calibration_file import read_calibration as read_calibration
    from ._calibration_file import write_calibration as write_calibration
    from ._description import Description as Description
    from ._description import write_description as write_description
    from ._embedder import Embedder as Embedder
    from ._embeddings import Embeddings as Embeddings
    from ._embeddings_file import EmbeddingParts as EmbeddingParts
    from ._embeddings_file import Part as Part
    from ._embeddings_file import read_embeddings as read_embeddings
    from ._embeddings_file import write_embeddings as write_embeddings
    from ._load import load as load
    from ._match import Matches as Matches
    from ._trained_model import TrainedModel as TrainedModel

import_on_first_use(
    __name__,
    {
        "Description": "_description",
        "Embedder": "_embedder",
        "EmbeddingParts": "_embeddings_file",
        "Embeddings": "_embeddings",
        "Matches": "_match",
        "Part": "_embeddings_file",
        "TrainedModel": "_trained_model",
        "load": "_load",
        "read_calibration": "_calibration_file",
        "read_embeddings": "_embeddings_file",
        "write_calibration": "_calibration_file",
        "write_description": "_description",
        "write_embeddings": "_embeddings_file",
    },
)
