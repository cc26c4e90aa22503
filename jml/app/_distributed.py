"""Several processes that train together: how they join, and what they exchange.

JAX ends a process with a stack trace if another does not join in time. So the processes
first connect to each other here: process 0 waits for all others, and its error names
those that are missing.
"""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from jml._names import name_bytes, shown
from jml.app._config import Config
from jml.errors import UserError

LONGEST = 2**14  # bytes of a message to other processes


def join(config: Config) -> None:
    """Makes this process one of several, if the configuration says so.

    Raises:
        UserError: a process has not joined in time; the error names it.
    """
    if config.coordinator is None:
        return
    # Collectives between processes on CPUs; GPUs and TPUs have their own.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    if config.coordinator == "auto":
        try:
            jax.distributed.initialize(initialization_timeout=config.join_timeout)
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise UserError(
                f"--coordinator: auto found no cluster ({reason}); pass HOST:PORT."
            ) from None
        return
    host, _, port = config.coordinator.rpartition(":")
    address, deadline = (host, int(port)), time.monotonic() + config.join_timeout
    if config.process == 0:
        _wait_for_others(config, address, deadline)
    else:
        _report_to_first(config, address, deadline)
    jax.distributed.initialize(
        config.coordinator,
        config.processes,
        config.process,
        initialization_timeout=max(config.join_timeout, 10),
        shutdown_timeout_seconds=3600,  # while process 0 writes the report
    )


def _wait_for_others(config: Config, address: tuple[str, int], deadline: float) -> None:
    """Waits, as process 0, for the others, and sends them what is wrong, or ""."""
    try:
        server = socket.create_server(("", address[1]))
    except OSError as error:
        raise UserError(
            f"--coordinator: port {address[1]} cannot be used: {error.strerror};"
            " choose another."
        ) from None
    expected = set(range(1, config.processes or 1))
    with server, ExitStack() as stack:
        joined: dict[int, socket.socket] = {}
        twice: set[int] = set()
        while expected - joined.keys() and not twice and time.monotonic() < deadline:
            server.settimeout(max(deadline - time.monotonic(), 0.01))
            with suppress(OSError, ValueError):  # no connection, or a stranger's
                connection = stack.enter_context(server.accept()[0])
                connection.settimeout(5)
                number = int(connection.recv(16))
                twice |= {number} & joined.keys()
                joined[number] = connection
        problem = _problem(config, expected - joined.keys(), twice)
        for connection in joined.values():
            with suppress(OSError):  # it has ended since; JAX will report it
                connection.sendall(json.dumps(problem).encode())
    if problem:
        raise UserError(problem)


def _problem(config: Config, missing: set[int], twice: set[int]) -> str:
    if twice:
        number = min(twice)
        return (
            f"--process: {number} was passed to two processes; number them from 0, each"
            " once."
        )
    if not missing:
        return ""
    names = ", ".join(map(str, sorted(missing)))
    return (
        f"--processes: of {config.processes}, these have not joined within"
        f" {config.join_timeout} s: {names}; start them, or pass a longer"
        " --join_timeout."
    )


def _report_to_first(config: Config, address: tuple[str, int], deadline: float) -> None:
    """Connects to process 0, sends this process's number, and raises what is wrong."""
    while True:
        try:
            with socket.create_connection(address, timeout=2) as connection:
                connection.settimeout(config.join_timeout + 5)
                connection.sendall(f"{config.process}".encode())
                problem = json.loads(connection.recv(LONGEST))
            break
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline:
                reason = getattr(error, "strerror", None) or error
                raise UserError(
                    f"--coordinator: process 0 does not answer at {config.coordinator}"
                    f" within {config.join_timeout} s ({reason}); start it, or pass a"
                    " longer --join_timeout."
                ) from None
            time.sleep(0.1)
    if problem:
        raise UserError(problem)


def broadcast(message: Any) -> Any:
    """Returns, in every process, what process 0 passes: anything JSON can hold."""
    if jax.process_count() == 1:
        return message
    text = name_bytes(json.dumps(message, ensure_ascii=False))
    padded = np.frombuffer(text.ljust(LONGEST), np.uint8)
    received = multihost_utils.broadcast_one_to_all(padded)
    return json.loads(np.asarray(received).tobytes().decode(errors="surrogateescape"))


@contextmanager
def raise_together() -> Iterator[None]:
    """Raises a UserError of one process in every process.

    Otherwise the others would wait for that process.
    """
    problem = ""
    try:
        yield
    except UserError as error:
        if jax.process_count() == 1:
            raise
        problem = f"{error} (process {jax.process_index()})"
    if jax.process_count() > 1:
        text = shown(problem).encode()[:LONGEST].ljust(LONGEST)
        texts = multihost_utils.process_allgather(np.frombuffer(text, np.uint8))
        for row in np.asarray(texts).reshape(-1, LONGEST):
            if message := row.tobytes().decode(errors="replace").strip():
                raise UserError(message)


def check_same_flags(config: Config) -> None:
    """Checks that this process has the flags of process 0.

    They may differ in where images and caches are, and in the threads that read them.

    Raises:
        UserError: other flags differ; the error names them.
    """
    local = {"process", "dataroot", "cache", "cache_folder", "nworkers"}
    first = broadcast(asdict(config))
    different = [
        f"--{name} is {first[name]} there, {value} here"
        for name, value in asdict(config).items()
        if name not in local and value != first[name]
    ]
    if different:
        raise UserError(
            f"--process: process 0 has other flags: {'; '.join(different)}; pass the"
            " same to all."
        )


def wait_for_all(what: str) -> None:
    """Returns when every process has called this with the same words."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)
