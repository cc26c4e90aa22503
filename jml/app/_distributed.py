"""Several processes that train together: how they meet, and what they tell each other.

JAX ends a process, with a stack trace, if another does not join in time. So they first
meet here: process 0 waits for a word of each, and says who is missing.
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

LONGEST = 2**14  # of what process 0 tells the others, in bytes


def join(config: Config) -> None:
    """Makes this process one of several, if the configuration says so.

    Raises:
        UserError: a process has not joined in time; names it.
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
    address, until = (host, int(port)), time.monotonic() + config.join_timeout
    if config.process == 0:
        _gather(config, address, until)
    else:
        _report(config, address, until)
    jax.distributed.initialize(
        config.coordinator,
        config.processes,
        config.process,
        initialization_timeout=max(config.join_timeout, 10),
        shutdown_timeout_seconds=3600,  # while process 0 writes the report
    )


def _gather(config: Config, address: tuple[str, int], until: float) -> None:
    """Process 0 waits for the others, then tells them to go on, or what is wrong."""
    try:
        server = socket.create_server(("", address[1]))
    except OSError as error:
        raise UserError(
            f"--coordinator: port {address[1]} cannot be used: {error.strerror};"
            " choose another."
        ) from None
    expected = set(range(1, config.processes))
    with server, ExitStack() as stack:
        here: dict[int, socket.socket] = {}
        twice: set[int] = set()
        while expected - here.keys() and not twice and time.monotonic() < until:
            server.settimeout(max(until - time.monotonic(), 0.01))
            with suppress(OSError, ValueError):  # nobody, or somebody else
                connection = stack.enter_context(server.accept()[0])
                connection.settimeout(5)
                number = int(connection.recv(16))
                twice |= {number} & here.keys()
                here[number] = connection
        problem = _problem(config, expected - here.keys(), twice)
        for connection in here.values():
            with suppress(OSError):  # it has gone again; JAX will say so
                connection.sendall(json.dumps(problem).encode())
    if problem:
        raise UserError(problem)


def _problem(config: Config, missing: set[int], twice: set[int]) -> str:
    if twice:
        number = min(twice)
        return f"--process: two processes say that they are {number}; count them."
    if not missing:
        return ""
    names = ", ".join(map(str, sorted(missing)))
    return (
        f"--processes: of {config.processes}, these have not joined within"
        f" {config.join_timeout} s: {names}; start them, or pass a longer"
        " --join_timeout."
    )


def _report(config: Config, address: tuple[str, int], until: float) -> None:
    """Another process says that it is there, and hears what is wrong."""
    while True:
        try:
            with socket.create_connection(address, timeout=2) as connection:
                connection.settimeout(config.join_timeout + 5)
                connection.sendall(f"{config.process}".encode())
                problem = json.loads(connection.recv(LONGEST))
            break
        except (OSError, ValueError) as error:
            if time.monotonic() > until:
                reason = getattr(error, "strerror", None) or error
                raise UserError(
                    f"--coordinator: process 0 does not answer at {config.coordinator}"
                    f" within {config.join_timeout} s ({reason}); start it, or pass a"
                    " longer --join_timeout."
                ) from None
            time.sleep(0.1)
    if problem:
        raise UserError(problem)


def tell(message: Any) -> Any:
    """What process 0 passes, in every process: anything JSON can hold."""
    if jax.process_count() == 1:
        return message
    text = name_bytes(json.dumps(message, ensure_ascii=False))
    padded = np.frombuffer(text.ljust(LONGEST), np.uint8)
    heard = multihost_utils.broadcast_one_to_all(padded)
    return json.loads(np.asarray(heard).tobytes().decode(errors="surrogateescape"))


@contextmanager
def together() -> Iterator[None]:
    """Turns a UserError in one process into one in every process.

    Otherwise the others would wait for it.
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
        heard = multihost_utils.process_allgather(np.frombuffer(text, np.uint8))
        for row in np.asarray(heard).reshape(-1, LONGEST):
            if found := row.tobytes().decode(errors="replace").strip():
                raise UserError(found)


def check_alike(config: Config) -> None:
    """Checks that this process was given what process 0 was.

    Raises:
        UserError: names the flags that differ. Where things are, and how many threads
            fetch them, is each process's own business.
    """
    own = {"process", "dataroot", "cache", "cache_folder", "nworkers"}
    first = tell(asdict(config))
    different = [
        f"--{name} is {first[name]} there, {value} here"
        for name, value in asdict(config).items()
        if name not in own and value != first[name]
    ]
    if different:
        raise UserError(
            f"--process: process 0 has other flags: {'; '.join(different)}; pass the"
            " same to all."
        )


def wait_for_all(what: str) -> None:
    """Returns when every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(what)
