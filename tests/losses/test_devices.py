"""A batch spread over devices gives one device's numbers, and no one holds it all."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from jml.losses import lifted_loss
from tests.losses.cases import FORMULAS, PAIR_LOSSES
from tests.losses.spread import (
    BATCHES,
    FEW,
    OF_VIEWS,
    ONE_OF_EACH,
    REMEMBERED,
    arguments,
)
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


WAYS = [f"{name}/{way}" for name in FORMULAS for way in ("jit", "mapped, blocks")]
WAYS += [f"{name}/explicit" for name in FEW]
OF_TWO = [f"{key}/{way}" for key in OF_VIEWS for way in ("jit", "mapped")]
OF_TWO += ["vicreg/inside", "clip/inside"]
PLAIN = [f"{name}, plain/{way}" for name in FEW for way in ("jit, blocks", "mapped")]


@pytest.mark.parametrize(
    "program",
    [*WAYS, *OF_TWO, *PLAIN, "triplet_all, plain/sorted", "lifted, plain/inside"],
)
def test_losses_and_gradients_on_eight_devices_equal_one(of_eight, program):
    """With a memory, absent items and few positives, which are gathered, but "plain".

    By hand over two mapped axes at once.
    """
    assert of_eight["devices"] == 8
    expected = of_eight[f"{program.partition('/')[0]}/one/values"]
    assert_close(of_eight[f"{program}/values"], expected, 1e-12, label=program)


def test_all_losses_are_traced_with_explicit_axes(of_eight):
    assert list(of_eight["explicit"]) == ONE_OF_EACH


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


# They weigh each pair in two nodes of a histogram, side by side in one array.
TWICE_AS_WIDE = ("fast_ap", "histogram")


def assert_part(found, program, anchors, items, *, few=6):
    """No array is larger than the rows of these anchors, and few are as large."""
    wide = 2 if program.partition("/")[0] in TWICE_AS_WIDE else 1
    assert found[f"{program}/array"] <= wide * anchors * items
    assert found[f"{program}/temporaries"] <= few * anchors * items


def items_of(name):
    """Those that an anchor of a program of `of_eight` has beside it."""
    remembers = name in PAIR_LOSSES  # the others have fewer proxies than items
    return BATCHES["values"] + 2 * REMEMBERED * remembers


def test_one_device_holds_a_matrix_of_the_batch(of_eight):
    assert of_eight["contrastive, plain/one/array"] == BATCHES["values"] ** 2


@pytest.mark.parametrize("name", FORMULAS)
def test_one_device_holds_no_more_than_twelve_matrices(of_eight, name):
    assert_part(of_eight, f"{name}/one", BATCHES["values"], items_of(name), few=12)


@pytest.mark.parametrize("way", WAYS)
def test_one_of_eight_holds_its_rows_only(of_eight, way):
    items = items_of(way.partition("/")[0])
    few = 6 if way.endswith("blocks") else 14  # references have gradients, too
    assert_part(of_eight, way, BATCHES["values"] // 8, items, few=few)


@pytest.mark.parametrize("way", PLAIN)
def test_one_of_eight_holds_its_rows_of_the_batch_only(of_eight, way):
    assert_part(of_eight, way, BATCHES["values"] // 8, BATCHES["values"])


@pytest.fixture(scope="module")
def of_64(compute):
    return compute(64, "arrays")


@pytest.mark.parametrize("way", ["jit", "mapped"])
@pytest.mark.parametrize("name", FEW)
def test_one_of_64_holds_its_rows_only(of_64, name, way):
    assert of_64["devices"] == 64 and len(programs(of_64)) == 2 * len(FEW)
    size = BATCHES["arrays"]
    assert_part(of_64, f"{name}/{way}", size // 64, size)
