"""A batch spread over devices gives one device's numbers, and no one holds it all."""

import os
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

from jml import losses
from tests.losses.spread import BATCHES
from tests.parity import assert_close


@pytest.fixture(scope="module")
def compute(tmp_path_factory):
    folder, found = tmp_path_factory.mktemp("spread"), {}

    def run(devices, wanted):
        if (devices, wanted) not in found:
            flags = f"--xla_force_host_platform_device_count={devices}"
            out = folder / f"{devices}.npz"
            subprocess.run(
                [sys.executable, "-m", "tests.losses.spread", str(out), wanted],
                env={**os.environ, "XLA_FLAGS": flags},
                check=True,
            )
            found[devices, wanted] = dict(np.load(out))
        return found[devices, wanted]

    return run


def test_values_and_gradients(compute):
    found = compute(8, "values")
    assert found.pop("devices") == 8
    for key, numbers in found.items():
        name = key.split("/")[0]
        assert_close(numbers, found[f"{name}/one"], 1e-12)


@pytest.mark.parametrize("devices", [8, 64])
def test_a_device_holds_its_rows_only(compute, devices):
    found = compute(devices, "arrays")
    assert found.pop("devices") == devices
    for key, entries in found.items():
        assert entries <= BATCHES["arrays"] ** 2 // devices, key


def test_axis_names_are_checked():
    x, labels = jnp.zeros((4, 2)), jnp.zeros(4, int)
    with pytest.raises(ValueError, match="`axis_name` must be an axis of"):
        losses.contrastive_loss(x, labels, axis_name="data")
