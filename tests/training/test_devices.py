"""One device, eight, and two processes with four each give the same numbers."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from tests.parity import assert_close
from tests.training.many_devices import LOSSES


def start(folder, devices, *arguments):
    flags = f"--xla_force_host_platform_device_count={devices}"
    program = [sys.executable, "-m", "tests.training.many_devices", str(folder)]
    return subprocess.Popen(
        [*program, *map(str, arguments)],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    )


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    address = f"127.0.0.1:{free_port()}"
    runs = [
        [start(folder, 8)],
        [start(folder, 4, address, 2, number) for number in (0, 1)],
    ]
    for processes in runs:
        assert [process.wait() for process in processes] == [0] * len(processes)
    files = {"1": "1.npz", "8": "all.npz", "2x4": "shared.npz"}
    return {name: dict(np.load(folder / file)) for name, file in files.items()}


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["8", "2x4"])
@pytest.mark.parametrize(("dtype", "limit"), [("float32", 1e-5), ("float64", 1e-10)])
def test_losses_and_gradients_on_more_devices_are_those_of_one(
    computed, devices, dtype, limit
):
    expected, found = computed["1"], computed[devices]
    assert found["devices"] == 8 and expected["devices"] == 1
    names = [name for name in expected if name.startswith(dtype)]
    assert len(names) == (len(LOSSES) + 1) * 4  # and one in pieces
    for name in names:
        assert np.isfinite(expected[name]).all() and np.any(expected[name])
        topic = f"{devices} devices and one, {name.split()[-1]}, {dtype}"
        assert_close(found[name], expected[name], limit, topic, label=name)


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["8", "2x4"])
def test_training_with_a_resume_ends_where_one_device_does(computed, devices):
    expected, found = computed["1"]["trained"], computed[devices]["trained"]
    assert_close(found, expected, 1e-5, f"{devices} devices and one, four steps")


@pytest.mark.slow
def test_class_weights_in_parts_train_as_those_of_one_device(computed):
    expected, found = computed["1"]["classes"], computed["8"]["classes"]
    assert_close(found, expected, 1e-5, "8 devices and one, class weights in parts")
