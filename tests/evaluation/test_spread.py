"""Two processes, each with its part of the gallery, get what one process gets."""

import os
import re
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
    try:
        with warnings.catch_warnings():
            expected = spread.all_results()
        assert [process.wait(timeout=100) for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return expected, [dict(np.load(out)) for out in outs]


def test_two_processes_of_four_devices_rank_as_one_does(computed):
    expected, both = computed
    for found in both:
        assert found["devices"] == 8
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


ALIKE = "all processes must pass the same options and, with a `gallery`, the same"
REFUSALS = [
    r"1 of 4 rows of `embeddings` hold NaN or infinity, .* row 2 \(process 1\)",
    r"`labels` must be integer \[4\], got int64 \(3,\) \(process 1\)",
    *[ALIKE] * 4,
    "`k` must be an integer from 1 to 7, the number of items to find, got 8",
    "`gallery` must hold an item, in any process",
    "`embeddings` must hold an item, in any process",
]


def test_a_mistake_of_one_process_is_raised_in_both(computed):
    for found in computed[1]:
        assert len(found["refusals"]) == len(REFUSALS)
        for message, pattern in zip(found["refusals"], REFUSALS, strict=True):
            assert re.search(pattern, message)
