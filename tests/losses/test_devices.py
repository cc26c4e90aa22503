"""A batch spread over devices gives one device's numbers, and no one holds it all."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from jml.losses import lifted_loss
from tests.losses.cases import LOSSES, PAIR_LOSSES, VIEW_LOSSES
from tests.losses.spread import BATCHES, REMEMBERED, arguments
from tests.parity import assert_close

pytestmark = pytest.mark.slow  # all of it runs in two processes


@pytest.fixture(scope="module")
def compute(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spread")

    def run(devices, wanted):
        flags = f"--xla_force_host_platform_device_count={devices}"
        out = folder / f"{devices}.npz"
        subprocess.run(
            [sys.executable, "-m", "tests.losses.spread", str(out), wanted],
            env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
            check=True,
        )
        return dict(np.load(out))

    return run


@pytest.fixture(scope="module")
def of_eight(compute):
    return compute(8, "values")


WAYS = ("jit", "jit, blocks", "mapped, blocks", "explicit")
WAYS_OF_VIEWS = ("jit", "mapped", "explicit", "inside")


@pytest.mark.parametrize(
    "program",
    [f"{name}/{way}" for name in LOSSES for way in WAYS]
    + [f"{name}/{way}" for name in VIEW_LOSSES for way in WAYS_OF_VIEWS]
    + ["triplet_all/sorted", "lifted/inside"],
)
def test_losses_and_gradients_on_eight_devices_equal_one(of_eight, program):
    assert of_eight["devices"] == 8
    expected = of_eight[f"{program.partition('/')[0]}/one/values"]
    assert_close(of_eight[f"{program}/values"], expected, 1e-12, label=program)


OPTIONS = [f"{name}/options, mapped" for name in PAIR_LOSSES]
OPTIONS += ["lifted/options, explicit"]


@pytest.mark.parametrize("program", OPTIONS)
def test_memory_and_absent_items_on_eight_devices_equal_one(of_eight, program):
    """Over two mapped axes at once, and few positives, which are gathered."""
    expected = of_eight[f"{program.partition(',')[0]}/values"]
    assert_close(of_eight[f"{program}/values"], expected, 1e-12, label=program)


def test_without_axis_name_each_device_has_the_loss_of_its_part(of_eight):
    """A loss without `axis_name` is that of a device's own part."""
    size = BATCHES["values"] // 8
    x, labels, numbers = arguments("lifted", None, BATCHES["values"])
    with jax.enable_x64(True):
        parts = [
            lifted_loss(x[i : i + size], labels[i : i + size], **numbers)
            for i in range(0, len(x), size)
        ]
    value = of_eight["lifted/apart/values"][0]
    assert_close(value, np.mean(parts), 1e-12, label="lifted/apart")


def programs(found):
    return {key.rsplit("/", 1)[0] for key in found if "/" in key}


def assert_part(found, program, anchors, items):
    """No array is larger than the rows of these anchors, and few are as large."""
    assert found[f"{program}/array"] <= anchors * items
    assert found[f"{program}/temporaries"] <= 6 * anchors * items


def test_one_device_holds_a_matrix_of_the_batch(of_eight):
    assert of_eight["contrastive/one/array"] == BATCHES["values"] ** 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", LOSSES)
def test_one_of_eight_holds_its_rows_only(of_eight, name, way):
    size = BATCHES["values"]
    assert_part(of_eight, f"{name}/{way}", size // 8, size)


@pytest.mark.parametrize("program", OPTIONS)
def test_one_of_eight_holds_its_rows_of_a_memory_only(of_eight, program):
    size = BATCHES["values"]
    assert_part(of_eight, program, size // 8, size + 2 * REMEMBERED)


@pytest.fixture(scope="module")
def of_64(compute):
    return compute(64, "arrays")


@pytest.mark.parametrize("way", ["jit", "mapped"])
@pytest.mark.parametrize("name", LOSSES)
def test_one_of_64_holds_its_rows_only(of_64, name, way):
    assert of_64["devices"] == 64 and len(programs(of_64)) == 2 * len(LOSSES)
    size = BATCHES["arrays"]
    assert_part(of_64, f"{name}/{way}", size // 64, size)
