"""Losses as users compile them, and as most tests do, which is quicker.

Of all losses tests/losses/test_devices.py compares all that comes before LLVM, there by
the numbers of one device and of eight.
"""

from functools import partial

import jax
import numpy as np
import pytest

from tests import compilation
from tests.compilation import programs, quickly
from tests.losses.cases import LOSSES, SPECS, conventions, hyperparameters
from tests.parity import assert_close

RNG = np.random.default_rng(0)
LABELS = np.arange(24) // 3 % 7
# With copies, and a row of zeros.
X = RNG.normal(size=(24, 5))
X[4], X[9], X[11] = X[3], X[1], 0
PROXIES = RNG.normal(size=(7, 5))
# In blocks, and two at once.
QUICK, AT_ONCE = ("triplet_semi", "multi_similarity"), ("triplet_all", "lifted")
NAMES = (*QUICK, *AT_ONCE, "proxy_nca")
CASES = [(name, options, 10) for name in NAMES for options in conventions(name)]
CASES += [(name, conventions(name)[-1], None) for name in AT_ONCE]


@pytest.mark.parametrize(
    ("name", "options", "block_size"),
    [
        pytest.param(
            *(name, options, block_size),
            id="-".join((name, *options.values(), *["blocks"] * bool(block_size))),
            marks=() if name in QUICK else pytest.mark.slow,
        )
        for name, options, block_size in CASES
    ],
)
def test_a_loss_does_not_depend_on_how_far_xla_optimises(
    x64, name, options, block_size
):
    proxies = () if SPECS[name].proxies is None else (PROXIES,)
    loss = partial(LOSSES[name], **options, block_size=block_size)
    numbers = hyperparameters(name, 0.5)

    def value_and_grad(x, *proxies):
        return jax.value_and_grad(lambda x: loss(x, LABELS, *proxies, **numbers))(x)

    lowered = jax.jit(value_and_grad).lower(X, *proxies)
    optimised = lowered.compile()(X, *proxies)
    with quickly(), programs() as made:
        # Without options JAX would take what it has made.
        value, gradient = lowered.compile(compilation.QUICK)(X, *proxies)
    assert len(made) == 1
    assert np.isfinite(value) and np.any(gradient)
    assert_close(value, optimised[0], 1e-13, label="value")
    assert_close(gradient, optimised[1], 1e-13, label="gradient")
