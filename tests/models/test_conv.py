"""The CPU formulas against XLA's own convolution and pooling, and against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jml.models._layers import _conv, _pool
from jml.models._layers._conv_cpu import by_taps

pytestmark = pytest.mark.usefixtures("quick_compilation")

# Height, width, channels in and out: one for every way a choice by shape can go, odd
# and even sides, images smaller than the kernel.
SHAPES = [
    (1, 1, 20, 4),
    (2, 2, 40, 3),
    (1, 4, 17, 5),
    (3, 2, 600, 2),
    (5, 7, 3, 4),
    (6, 5, 16, 24),
    (9, 10, 20, 6),
    (17, 16, 3, 2),
]
slow = [pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES[2:]]
CASES = [*SHAPES[:2], *slow]


def with_gradients(function, *arguments, weights):
    def run(*arguments):
        y, vjp = jax.vjp(function, *arguments)
        return y, vjp(weights)

    return jax.jit(run)(*arguments)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("shape", CASES, ids=str)
def test_convolution_equals_the_native_one(x64, shape, size, stride):
    h, w, c_in, c_out = shape
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, h, w, c_in))
    kernel = rng.standard_normal((size, size, c_in, c_out))
    out = (h - 1) // stride + 1, (w - 1) // stride + 1
    weights = rng.standard_normal((2, *out, c_out))

    results = [
        with_gradients(function, x, kernel, weights=weights)
        for function in (
            lambda x, kernel: by_taps(x, kernel, stride),
            lambda x, kernel: _conv.native(x, kernel, stride=stride),
        )
    ]
    for ours, native in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(ours, native, rtol=0, atol=1e-12 * size**2 * c_in)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_equals_torch(x64, stride):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 7, 8, 20)), rng.standard_normal((3, 3, 20, 4))
    ours = _conv.conv2d(jnp.asarray(x), jnp.asarray(kernel), stride=stride)
    theirs = torch.conv2d(
        torch.tensor(x.transpose(0, 3, 1, 2)),
        torch.tensor(kernel.transpose(3, 2, 0, 1)),
        stride=stride,
        padding=1,
    )
    theirs = theirs.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    "side",
    [
        *[(1, 1), (7, 6)],
        *(pytest.param(s, marks=pytest.mark.slow) for s in [(2, 3), (4, 4), (9, 9)]),
    ],
    ids=str,
)
def test_pooling_equals_torch(x64, side, ties):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *side, 3))
    if ties:
        x = np.round(x)
    theirs_x = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
    theirs = torch.nn.functional.max_pool2d(theirs_x, 3, 2, 1)
    weights = rng.standard_normal(theirs.shape)
    theirs.backward(torch.tensor(weights))
    weights = weights.transpose(0, 2, 3, 1)

    for function in (_pool.max_pool, _pool.by_place, _pool.native):
        ours, (gradient,) = with_gradients(function, x, weights=weights)
        np.testing.assert_array_equal(ours, theirs.detach().permute(0, 2, 3, 1))
        expected = theirs_x.grad.permute(0, 2, 3, 1)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-14)


def test_pooling_gives_the_gradient_of_a_tie_to_the_first_in_reading_order():
    gradient = jax.grad(lambda x: _pool.max_pool(x).sum())(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[1, 0], [0, 0]])


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_other_platforms_keep_the_native_operations(platform):
    def run(x, kernel):
        return _pool.max_pool(_conv.conv2d(x, kernel, stride=2)).sum()

    arguments = jnp.ones((2, 9, 9, 16)), jnp.ones((3, 3, 16, 16))
    gradient = jax.jit(jax.grad(run, argnums=(0, 1)))
    text = gradient.trace(*arguments).lower(lowering_platforms=(platform,)).as_text()
    assert ("select_and_scatter" in text) == (platform != "cpu")
    assert text.count("stablehlo.convolution") == (1 if platform == "cpu" else 3)
