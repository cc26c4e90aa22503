"""How well embeddings retrieve, measured exactly, block by block on the device."""

from ._recall import recall_at_k as recall_at_k

__all__ = ["recall_at_k"]
