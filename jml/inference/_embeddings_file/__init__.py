"""Embeddings on disk: one file, a folder of parts, or a .npy file with its list."""

from ._embedding_parts import EmbeddingParts as EmbeddingParts
from ._part import Part as Part
from ._read import read_embeddings as read_embeddings
from ._write import write_embeddings as write_embeddings

__all__ = ["EmbeddingParts", "Part", "read_embeddings", "write_embeddings"]
