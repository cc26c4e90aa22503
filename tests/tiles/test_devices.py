"""Classes spread over devices give one device's numbers, and no one holds them all."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.parity import assert_close
from tests.tiles.spread import CLASSES, DIM, OF_PROXIES, RUNS, WAYS

pytestmark = pytest.mark.slow  # all of it runs in a process of its own


@pytest.fixture(scope="module")
def of_eight(tmp_path_factory):
    out = tmp_path_factory.mktemp("classes") / "8.npz"
    flags = "--xla_force_host_platform_device_count=8"
    subprocess.run(
        [sys.executable, "-m", "tests.tiles.spread", str(out)],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        check=True,
    )
    return dict(np.load(out))


@pytest.mark.parametrize(("way", "reduction"), RUNS)
def test_losses_and_gradients_of_spread_classes_equal_one_device(
    of_eight, way, reduction
):
    assert of_eight["devices"] == 8
    expected = of_eight[f"one/{reduction}"]
    assert_close(of_eight[f"{way}/{reduction}"], expected, 1e-12, label=way)


def test_losses_whose_margins_depend_on_the_batch_equal_one_device(of_eight):
    found, expected = of_eight["softmaxes/mean"], of_eight["softmaxes/one"]
    assert_close(found, expected, 1e-12, label="softmaxes")


@pytest.mark.parametrize(("name", "way"), OF_PROXIES)
def test_losses_of_spread_proxies_equal_one_device(of_eight, name, way):
    expected = of_eight[f"{name}/one"]
    assert_close(of_eight[f"{name}/{way}"], expected, 1e-12, label=f"{name}, {way}")
    devices = {"batch": 1, "two axes": 4}.get(way, 8)
    assert of_eight[f"{name}/{way}/array"] <= 2 * CLASSES * DIM / devices


@pytest.mark.parametrize("way", ["jit", "sampled"])
def test_weights_that_jit_has_spread_or_samples_have_the_same_loss(of_eight, way):
    assert_close(of_eight[f"{way}/mean"], of_eight["one/mean"], 1e-12, label=way)


@pytest.mark.parametrize("way", [*WAYS, "jit"])
def test_a_device_holds_no_more_than_twice_its_share(of_eight, way):
    devices = {"batch": 1, "classes over both": 8, "jit": 8}.get(way, 4)
    assert of_eight[f"{way}/mean/array"] <= 2 * CLASSES * DIM / devices
