"""Convolution and its two derivatives for CPUs, as matrix products where that pays.

A tap is one position of the kernel. What it sees of the images is a matrix of pixels
by channels, so each of the three sums is a product of matrices per tap. The thresholds
say where XLA's own convolution is faster; they were measured on x86-64, one layer of
the five networks at a time.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

THIN = 16  # with fewer channels a matrix per tap is too thin to be fast


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def by_taps(x: Array, kernel: Array, stride: int) -> Array:
    """``conv2d`` for CPUs, differentiable in reverse mode only."""
    taps, cropped, conv = _crop(x, kernel, stride)
    few_pixels = 8 * taps.pixels < x.shape[3]
    if taps.count > 1 and not few_pixels:
        return conv(x, cropped)
    columns = jnp.concatenate(_views(x, taps), axis=1) @ _matrix(cropped)
    return columns.reshape(x.shape[0], *taps.out, kernel.shape[3])


def _forward(x: Array, kernel: Array, stride: int):
    return by_taps(x, kernel, stride), (x, kernel)


def _backward(stride: int, saved: tuple[Array, Array], g: Array):
    return _dx(*saved, g, stride), _dkernel(*saved, g, stride)


by_taps.defvjp(_forward, _backward)


def _dx(x: Array, kernel: Array, g: Array, stride: int) -> Array:
    taps, cropped, conv = _crop(x, kernel, stride)
    native_is_fast = taps.count > 1 and stride == 1 and taps.pixels >= 64
    if native_is_fast or x.shape[3] < THIN:
        return jax.vjp(lambda x: conv(x, cropped), x)[1](g)[0]
    columns = g.reshape(-1, g.shape[3]) @ _matrix(cropped).T
    # Adds every tap's share to the pixels that it saw.
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
    fence = lax.optimization_barrier  # against XLA undoing what follows
    if len(views) > 1:
        # Transposed once rather than by every product.
        g = fence(fence(g).T)
        return fence(jnp.stack([g @ view for view in views])).transpose(0, 2, 1)
    # A product over the first axes of both sides is faster with the narrower one first.
    product = partial(lax.dot_general, dimension_numbers=(((0,), (0,)), ((), ())))
    (view,) = views
    if view.shape[1] < g.shape[1]:
        return product(view, g)
    return fence(product(g, view)).T


class _Taps(NamedTuple):
    """The taps that touch the image: on one of 1 x 1, the middle one alone."""

    stride: int
    out: tuple[int, int]  # size of the output
    kernel: tuple[slice, slice]  # the taps' place in the kernel
    edges: tuple[tuple[int, int], tuple[int, int]]  # padding that their views need

    @property
    def pixels(self) -> int:
        return self.out[0] * self.out[1]

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.kernel
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def count(self) -> int:
        return self.shape[0] * self.shape[1]


def _side(side: int, size: int, stride: int):
    """One side of ``_Taps``: its output, taps and edges."""
    pad, out = size // 2, (side - 1) // stride + 1
    last = (out - 1) * stride  # where the last window begins
    taps = slice(max(0, pad - last), min(size, side + pad))
    before = pad - taps.start
    return out, taps, (before, last + taps.stop - taps.start - before - side)


def _crop(x: Array, kernel: Array, stride: int):
    """The taps, their part of the kernel, and XLA's convolution with such a part."""
    rows, columns = (_side(side, kernel.shape[0], stride) for side in x.shape[1:3])
    taps = _Taps(stride, *zip(rows, columns, strict=True))
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
    """What each tap sees: matrices [images * pixels, channels]."""
    edges = [(0, 0, 0), *((*edge, 0) for edge in taps.edges), (0, 0, 0)]
    x = lax.pad(x, jnp.zeros((), x.dtype), edges)
    step = taps.stride
    h, w = ((out - 1) * step + 1 for out in taps.out)
    return [
        x[:, i : i + h : step, j : j + w : step].reshape(-1, x.shape[3])
        for i in range(taps.shape[0])
        for j in range(taps.shape[1])
    ]
