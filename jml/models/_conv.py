"""Convolution and max pooling over NHWC images, padded explicitly as PyTorch pads."""

import numpy as np
from jax import lax
from jaxtyping import Array, Float


def conv2d(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c d"], stride: int
) -> Float[Array, "b i j d"]:
    """Convolves with a square kernel and ``k // 2`` zeros on every side."""
    pad = kernel.shape[0] // 2
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        [(pad, pad)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def max_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b i j c"]:
    """Maximum over windows of 3 x 3, stride 2, padding 1."""
    return lax.reduce_window(
        x,
        -np.inf,
        lax.max,
        (1, 3, 3, 1),
        (1, 2, 2, 1),
        [(0, 0), (1, 1), (1, 1), (0, 0)],
    )
