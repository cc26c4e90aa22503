"""Layers whose arithmetic is PyTorch's."""

from ._batch_norm import BatchNorm as BatchNorm
from ._conv import conv2d as conv2d
from ._kernels import Conv as Conv
from ._kernels import Linear as Linear
from ._pool import max_pool as max_pool

__all__ = ["BatchNorm", "Conv", "Linear", "conv2d", "max_pool"]
