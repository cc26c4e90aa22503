"""A trained network in use: images in, embeddings out, and what to do with those."""

from typing import TYPE_CHECKING

from jml._first_use import import_on_first_use

if TYPE_CHECKING:
    from ._embeddings import Embeddings as Embeddings

import_on_first_use(
    __name__,
    {
        "Embeddings": "_embeddings",
    },
)
