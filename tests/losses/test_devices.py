"""A batch spread over devices gives one device's numbers, and no one holds it all."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from jml.losses import lifted_loss
from tests.losses.cases import LOSSES, PAIR_LOSSES
from tests.losses.spread import BATCHES, REMEMBERED, arguments
from tests.parity import assert_close


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


@pytest.mark.parametrize(
    "program",
    [f"{name}/{way}" for name in LOSSES for way in WAYS]
    + ["triplet_all/sorted", "lifted/inside"],
)
def test_values_and_gradients(of_eight, program):
    assert of_eight["devices"] == 8
    expected = of_eight[f"{program.partition('/')[0]}/one/values"]
    assert_close(of_eight[f"{program}/values"], expected, 1e-12)


@pytest.mark.parametrize(
    "program",
    [*(f"{name}/options, mapped" for name in PAIR_LOSSES), "lifted/options, explicit"],
)
def test_a_memory_and_absent_items(of_eight, program):
    """Over two mapped axes at once, and few positives, which are gathered."""
    expected = of_eight[f"{program.partition(',')[0]}/values"]
    assert_close(of_eight[f"{program}/values"], expected, 1e-12)


def test_parts_by_themselves(of_eight):
    """A loss without `axis_name` is that of a device's own part."""
    size = BATCHES["values"] // 8
    x, labels, numbers = arguments("lifted", None, BATCHES["values"])
    with jax.enable_x64(True):
        parts = [
            lifted_loss(x[i : i + size], labels[i : i + size], **numbers)
            for i in range(0, len(x), size)
        ]
    assert_close(of_eight["lifted/apart/values"][0], np.mean(parts), 1e-12)


def programs(found):
    return {key.rsplit("/", 1)[0] for key in found if "/" in key}


def assert_part(found, program, anchors, items):
    """No array is larger than the rows of these anchors, and few are as large."""
    assert found[f"{program}/array"] <= anchors * items, program
    assert found[f"{program}/temporaries"] <= 6 * anchors * items, program


def test_one_of_eight_holds_its_rows_only(of_eight):
    size = BATCHES["values"]
    assert of_eight["contrastive/one/array"] == size**2
    for program in programs(of_eight):
        if program.endswith(("jit", "blocks", "/explicit")):
            assert_part(of_eight, program, size // 8, size)
        if program.endswith(("options, mapped", "options, explicit")):
            assert_part(of_eight, program, size // 8, size + 2 * REMEMBERED)


def test_one_of_64_holds_its_rows_only(compute):
    found, size = compute(64, "arrays"), BATCHES["arrays"]
    assert found["devices"] == 64 and len(programs(found)) == 2 * len(LOSSES)
    for program in programs(found):
        assert_part(found, program, size // 64, size)
