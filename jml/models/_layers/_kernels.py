"""Layers with a kernel, initialised as PyTorch initialises them."""

import math

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from ._conv import conv2d


class Conv(nnx.Module):
    """Convolution without bias, initialised as He et al. (normal, fan out)."""

    def __init__(
        self, c_in: int, c_out: int, *, size: int, stride: int, rng: np.random.Generator
    ):
        self.stride = stride
        std = math.sqrt(2 / (c_out * size**2))
        kernel = rng.standard_normal((size, size, c_in, c_out), np.float32) * std
        self.weight = nnx.Param(jnp.asarray(kernel, jnp.float32))

    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j d"]:
        """Convolves, with ``size // 2`` zeros around the image."""
        return conv2d(x, self.weight[...], stride=self.stride)


class Linear(nnx.Module):
    """Affine map, initialised as ``torch.nn.Linear``."""

    def __init__(self, d_in: int, d_out: int, *, rng: np.random.Generator):
        bound = 1 / math.sqrt(d_in)
        weight = rng.uniform(-bound, bound, (d_in, d_out)).astype(np.float32)
        self.weight = nnx.Param(jnp.asarray(weight, jnp.float32))
        bias = rng.uniform(-bound, bound, d_out).astype(np.float32)
        self.bias = nnx.Param(jnp.asarray(bias, jnp.float32))

    def __call__(self, x: Float[Array, "b d"]) -> Float[Array, "b e"]:
        """Computes ``x W + b``."""
        return x @ self.weight[...] + self.bias[...][None]
