"""Batch normalisation whose momentum and epsilon mean what they mean in PyTorch."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

MOMENTUM = 0.1  # weight of the new value in the running statistics
EPSILON = 1e-5


class BatchNorm(nnx.Module):
    r"""Normalises every channel: ``(x - mean) / sqrt(var + 1e-5) * weight + bias``.

    In training, mean and (biased) variance are the batch's. The running statistics move
    a tenth of the way towards its mean and *unbiased* variance. Statistics are computed
    in at least float32.
    """

    def __init__(self, channels: int):
        # For NumPy's arrays JAX compiles nothing.
        self.weight = nnx.Param(jax.device_put(np.ones(channels)))
        self.bias = nnx.Param(jax.device_put(np.zeros(channels)))
        self.running_mean = nnx.BatchStat(jax.device_put(np.zeros(channels)))
        self.running_var = nnx.BatchStat(jax.device_put(np.ones(channels)))

    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool
    ) -> Float[Array, "b h w c"]:
        """Normalises; if `train`, also moves the running statistics.

        Raises:
            ValueError: `train`, and there is one value per channel, which has no
                variance.
        """
        if not train:
            mean, var = self.running_mean[...], self.running_var[...]
        else:
            mean, var = _moments(x)
            self._move(mean, var, x.shape[:3])
        scale = self.weight[...] * lax.rsqrt(var + EPSILON)
        shift = self.bias[...] - mean * scale
        scale, shift = scale[None, None, None], shift[None, None, None]
        return (x * scale + shift).astype(x.dtype)

    def _move(self, mean: Array, var: Array, shape: tuple[int, ...]) -> None:
        count = math.prod(shape)
        if count < 2:
            raise ValueError(
                "BatchNorm: training needs more than one value per channel, got images "
                f"x height x width = {shape}; pass more images at a time (a larger "
                "batch or microbatch), larger images, or train=False"
            )
        mean, var = lax.stop_gradient((mean, var * (count / (count - 1))))
        for running, new in ((self.running_mean, mean), (self.running_var, var)):
            running[...] = running[...] + MOMENTUM * (new - running[...])


def _moments(x: Array) -> tuple[Array, Array]:
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = jnp.mean(x, axis=(0, 1, 2))
    return mean, jnp.mean(jnp.square(x - mean[None, None, None]), axis=(0, 1, 2))
