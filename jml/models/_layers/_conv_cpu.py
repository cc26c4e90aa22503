"""Convolution and its derivatives for CPUs, as matrix products where that is faster.

A tap is one position of the kernel. The pixels that it meets form a matrix [pixels,
channels], its view. So the convolution and both derivatives are one matrix product for
each tap. The thresholds say where XLA's own convolution is faster. They were measured
on x86-64, for each layer of the five networks.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

THIN = 16  # with fewer channels the products are too narrow to be fast


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def by_taps(x: Array, kernel: Array, stride: int) -> Array:
    """``conv2d`` for CPUs, differentiable in reverse mode only."""
    taps, cropped, conv = _crop(x, kernel, stride)
    few_pixels = 8 * taps.pixels < x.shape[3]
    if taps.total > 1 and not few_pixels:
        return conv(x, cropped)
    columns = jnp.concatenate(_views(x, taps), axis=1) @ _matrix(cropped)
    return columns.reshape(x.shape[0], *taps.out, kernel.shape[3])


def _forward(x: Array, kernel: Array, stride: int) -> tuple[Array, tuple[Array, Array]]:
    return by_taps(x, kernel, stride), (x, kernel)


def _backward(stride: int, saved: tuple[Array, Array], g: Array) -> tuple[Array, Array]:
    return _dx(*saved, g, stride), _dkernel(*saved, g, stride)


by_taps.defvjp(_forward, _backward)


def _dx(x: Array, kernel: Array, g: Array, stride: int) -> Array:
    taps, cropped, conv = _crop(x, kernel, stride)
    native_is_fast = taps.total > 1 and stride == 1 and taps.pixels >= 64
    if native_is_fast or x.shape[3] < THIN:
        return jax.vjp(lambda x: conv(x, cropped), x)[1](g)[0]
    columns = g.reshape(-1, g.shape[3]) @ _matrix(cropped).T
    # The transpose of taking views adds each tap's product to the pixels of its view.
    scatter = jax.linear_transpose(lambda x: jnp.concatenate(_views(x, taps), 1), x)
    return scatter(columns)[0]


def _dkernel(x: Array, kernel: Array, g: Array, stride: int) -> Array:
    taps, cropped, conv = _crop(x, kernel, stride)
    if x.shape[3] < THIN:
        cropped = jax.vjp(lambda kernel: conv(x, kernel), cropped)[1](g)[0]
    else:
        cropped = _tap_gradients(_views(x, taps), g.reshape(-1, g.shape[3]))
        cropped = cropped.reshape(*taps.shape, *kernel.shape[2:])
    edges = [(s.start, kernel.shape[0] - s.stop) for s in taps.kernel]
    return jnp.pad(cropped, (*edges, (0, 0), (0, 0)))


def _tap_gradients(views: list[Array], g: Array) -> Array:
    """The products ``view^T g`` as one array."""
    fence = lax.optimization_barrier  # or XLA would undo what follows
    if len(views) > 1:
        # Transposes once, not in every product.
        g = fence(fence(g).T)
        return fence(jnp.stack([g @ view for view in views])).transpose(0, 2, 1)
    # A product that contracts the first axes is faster with the narrower matrix first.
    product = partial(lax.dot_general, dimension_numbers=(((0,), (0,)), ((), ())))
    (view,) = views
    if view.shape[1] < g.shape[1]:
        return product(view, g)
    return fence(product(g, view)).T


class _Taps(NamedTuple):
    """The taps that touch the image: of a 1 x 1 image, only the middle one."""

    stride: int
    out: tuple[int, int]  # size of the output
    kernel: tuple[slice, slice]  # rows and columns of the taps in the kernel
    edges: tuple[tuple[int, int], tuple[int, int]]  # padding that their views need

    @property
    def pixels(self) -> int:
        return self.out[0] * self.out[1]

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.kernel
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def total(self) -> int:
        return self.shape[0] * self.shape[1]


def _side(side: int, size: int, stride: int) -> tuple[int, slice, tuple[int, int]]:
    """The output, the taps and the edges of ``_Taps`` along one side of the image."""
    pad, out = size // 2, (side - 1) // stride + 1
    last = (out - 1) * stride  # where the last window begins
    taps = slice(max(0, pad - last), min(size, side + pad))
    before = pad - taps.start
    return out, taps, (before, last + taps.stop - taps.start - before - side)


def _crop(
    x: Array, kernel: Array, stride: int
) -> tuple[_Taps, Array, Callable[[Array, Array], Array]]:
    """The taps, their part of the kernel, and XLA's convolution with such a part."""
    down, across = (_side(side, kernel.shape[0], stride) for side in x.shape[1:3])
    taps = _Taps(
        stride,
        out=(down[0], across[0]),
        kernel=(down[1], across[1]),
        edges=(down[2], across[2]),
    )
    conv = partial(
        lax.conv_general_dilated,
        window_strides=(stride, stride),
        padding=taps.edges,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return taps, kernel[taps.kernel], conv


def _matrix(kernel: Array) -> Array:
    return kernel.reshape(-1, kernel.shape[3])


def _views(x: Array, taps: _Taps) -> list[Array]:
    """The views of all taps: matrices [images * pixels, channels]."""
    edges = [(0, 0, 0), *((*edge, 0) for edge in taps.edges), (0, 0, 0)]
    x = lax.pad(x, jnp.zeros((), x.dtype), edges)
    step = taps.stride
    h, w = ((out - 1) * step + 1 for out in taps.out)
    return [
        x[:, i : i + h : step, j : j + w : step].reshape(-1, x.shape[3])
        for i in range(taps.shape[0])
        for j in range(taps.shape[1])
    ]
