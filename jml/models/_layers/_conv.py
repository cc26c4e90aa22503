"""Convolution over NHWC images, padded explicitly as PyTorch pads.

GPUs and TPUs get XLA's convolution. On CPUs that is slow in places, by a factor of a
hundred at worst, and ``_conv_cpu`` has other formulas for the same sums; which one runs
is settled when a program is compiled for its platform.
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
    """``conv2d`` as XLA has it."""
    edges = [(kernel.shape[0] // 2,) * 2] * 2
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), edges, dimension_numbers=numbers
    )
