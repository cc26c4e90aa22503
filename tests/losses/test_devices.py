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
    folder = tmp_path_factory.mktemp("spread")

    def run(devices, wanted):
        flags = f"--xla_force_host_platform_device_count={devices}"
        out = folder / f"{devices}.npz"
        subprocess.run(
            [sys.executable, "-m", "tests.losses.spread", str(out), wanted],
            env={**os.environ, "XLA_FLAGS": flags},
            check=True,
        )
        return dict(np.load(out))

    return run


@pytest.fixture(scope="module")
def of_eight(compute):
    return compute(8, "values")


def test_values_and_gradients(of_eight):
    assert of_eight["devices"] == 8
    spread = [key for key in of_eight if key.endswith("/values")]
    assert len(spread) == 6 * 5
    for key in spread:
        name = key.split("/")[0]
        assert_close(of_eight[key], of_eight[f"{name}/one/values"], 1e-12)


def test_one_of_eight_holds_its_rows_only(of_eight):
    for key, entries in of_eight.items():
        if key.endswith("/array") and "/one/" not in key:
            assert entries <= BATCHES["values"] ** 2 // 8, key
    assert of_eight["contrastive/one/array"] == BATCHES["values"] ** 2


def test_one_of_64_holds_its_rows_only(compute):
    found = compute(64, "arrays")
    assert found.pop("devices") == 64 and len(found) == 6 * 2
    for key, entries in found.items():
        assert entries <= BATCHES["arrays"] ** 2 // 64, key


def test_axis_names_are_checked():
    x, labels = jnp.zeros((4, 2)), jnp.zeros(4, int)
    with pytest.raises(ValueError, match="`axis_name` must be an axis of"):
        losses.contrastive_loss(x, labels, axis_name="data")
