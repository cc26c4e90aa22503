"""A trained network in use: images in, embeddings out, and what to do with those."""

from typing import TYPE_CHECKING

from jml._first_use import import_on_first_use

if TYPE_CHECKING:
    from ._embeddings import Embeddings as Embeddings
    from ._embeddings_file import EmbeddingParts as EmbeddingParts
    from ._embeddings_file import Part as Part
    from ._embeddings_file import read_embeddings as read_embeddings
    from ._embeddings_file import write_embeddings as write_embeddings

import_on_first_use(
    __name__,
    {
        "Embeddings": "_embeddings",
        "EmbeddingParts": "_embeddings_file",
        "Part": "_embeddings_file",
        "read_embeddings": "_embeddings_file",
        "write_embeddings": "_embeddings_file",
    },
)
