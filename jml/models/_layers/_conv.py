"""Convolution over NHWC images, padded explicitly as PyTorch pads.

GPUs and TPUs run XLA's convolution. On CPUs that is slow for some shapes, by a factor
of up to a hundred. ``_conv_cpu`` computes the same sums there as matrix products. The
choice is made when a program is compiled for its platform.
"""

from functools import partial

from jax import lax
from jaxtyping import Array, Float

from ._conv_cpu import by_taps


def conv2d(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c d"], *, stride: int
) -> Float[Array, "b i j d"]:
    """Convolves with a square kernel and ``k // 2`` zeros on every side."""
    return lax.platform_dependent(
        x,
        kernel,
        cpu=lambda x, kernel: by_taps(x, kernel, stride),
        default=partial(native, stride=stride),
    )


def native(x: Array, kernel: Array, *, stride: int) -> Array:
    """``conv2d`` by XLA's convolution."""
    pad = kernel.shape[0] // 2
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=[(pad, pad), (pad, pad)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
