"""Two processes, each with its part of the gallery, get what one process gets."""

import os
import socket
import subprocess
import sys
import warnings

import numpy as np
import pytest

from . import spread


def start(address, process, out):
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    arguments = address, str(process), str(out)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.evaluation.spread", *arguments],
        env=os.environ | flags | {"JAX_PLATFORMS": "cpu"},
    )


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spread")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    outs = [folder / f"{number}.npz" for number in (0, 1)]
    processes = [start(address, *numbered) for numbered in enumerate(outs)]
    with warnings.catch_warnings():
        expected = spread.all_results()
    assert [process.wait(timeout=100) for process in processes] == [0, 0]
    return expected, [dict(np.load(out)) for out in outs]


def test_two_processes_of_four_devices_rank_as_one_does(computed):
    expected, both = computed
    for found in both:
        assert found["devices"] == 8
        different = [
            name
            for name, value in expected.items()
            if not np.array_equal(found[name], value, equal_nan=value.dtype.kind == "f")
        ]
        assert not different, " ".join(different)
