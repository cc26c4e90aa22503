"""Layers whose arithmetic is PyTorch's."""

from ._batch_norm import BatchNorm as BatchNorm
from ._conv import conv2d as conv2d
from ._pool import max_pool as max_pool

__all__ = ["BatchNorm", "conv2d", "max_pool"]
