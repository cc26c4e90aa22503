"""The losses on a GPU are those on the CPU."""

from functools import partial

import jax
import numpy as np
import pytest

from tests.losses.cases import LOSSES
from tests.losses.spread import arguments
from tests.parity import assert_close

SIZE = 96


def on(platform, name, block_size):
    """Value and gradients in float32, in one row."""
    x, labels, other = arguments(name, None, SIZE)
    floats = jax.tree.map(np.float32, (x, other))
    x, labels, other = jax.device_put(
        (floats[0], labels, floats[1]), jax.devices(platform)[0]
    )
    loss = partial(LOSSES[name], block_size=block_size)
    value_and_grads = jax.value_and_grad(
        lambda x, other: loss(x, labels, **other), argnums=(0, 1)
    )
    leaves = jax.tree.leaves(jax.jit(value_and_grads)(x, other))
    assert {leaf.dtype for leaf in leaves} == {np.dtype(np.float32)}
    assert {device.platform for leaf in leaves for device in leaf.devices()} == {
        platform
    }
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


@pytest.mark.gpu
@pytest.mark.parametrize("block_size", [SIZE, 32])
@pytest.mark.parametrize("name", LOSSES)
def test_a_gpu_gives_the_numbers_of_the_cpu(name, block_size):
    expected = on("cpu", name, SIZE)
    assert_close(on("gpu", name, block_size), expected, 1e-5, "GPU and CPU, float32")
