"""Several processes find each other, and have the same flags."""

import socket
import subprocess
import sys

import pytest

from jml.app._config import Config
from jml.app._distributed import join
from jml.errors import UserError


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def joining(process, port, *, processes=3, seconds=1):
    numbers = {"processes": processes, "process": process, "join_timeout": seconds}
    return Config(coordinator=f"127.0.0.1:{port}", **numbers)


def test_a_process_that_never_joins_the_run_is_named():
    with pytest.raises(UserError, match=r"have not joined within 1 s: 1, 2; start"):
        join(joining(0, free_port()))


def test_all_processes_report_which_one_is_missing():
    from concurrent.futures import ThreadPoolExecutor

    port = free_port()
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(join, joining(n, port, seconds=3)) for n in (0, 2)]
        for future in waiting:
            with pytest.raises(UserError, match=r"within 3 s: 1; start"):
                future.result()


@pytest.mark.slow
def test_two_processes_with_one_number_are_an_error():
    from concurrent.futures import ThreadPoolExecutor

    port = free_port()
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(join, joining(n, port, seconds=9)) for n in (0, 1, 1)]
        problems = [str(future.exception()) for future in waiting]
    assert "--process: 1 was passed to two processes; number them" in problems[0]


def test_a_coordinator_that_does_not_answer_is_one_line():
    port = free_port()
    with pytest.raises(UserError, match=f"process 0 does not answer at .*:{port}"):
        join(joining(1, port))


def test_a_port_of_the_coordinator_that_is_taken_is_one_line():
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UserError, match=f"--coordinator: port {port} cannot be"):
            join(joining(0, port))


ONE_OF_TWO = """
import sys
from jml.errors import UserError
from jml.app._config import Config
from jml.app._distributed import check_same_flags, join, raise_together
number = int(sys.argv[2])
places = {"dataroot": f"here{number}", "nworkers": 1 + number}
options = {"coordinator": sys.argv[1], "processes": 2, "process": number, **places}
join(Config(**options))
for more in ({}, {"lr": 0.1 + number}):
    try:
        with raise_together():
            check_same_flags(Config(**options, **more))
        print("alike")
    except UserError as error:
        print(error)
"""


def test_a_mistake_of_one_process_stops_all_processes():
    address = f"127.0.0.1:{free_port()}"
    program = [sys.executable, "-c", ONE_OF_TWO, address]
    both = [
        subprocess.Popen([*program, str(n)], stdout=subprocess.PIPE, text=True)
        for n in (0, 1)
    ]
    for process in both:
        out, _ = process.communicate(timeout=100)
        lines = [line for line in out.splitlines() if "Gloo" not in line]
        assert lines[0] == "alike"
        assert lines[1].startswith("--process: process 0 has other flags: --lr is 0.1")
        assert lines[1].endswith("(process 1)")
