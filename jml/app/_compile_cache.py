"""Compiled programs are kept on disk, so that no later run waits for them.

JAX keeps them itself. This module says where and how many, and sees to it that a folder
which cannot be used costs a run nothing but one line. JAX's own variables win. Only a
command calls this: the library never changes JAX's configuration.
"""

import hashlib
import os
import platform
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from jml._names import quoted
from jml._optional import missing
from jml._output import write_err
from jml._user_cache import user_cache_folder
from jml.errors import reason_of

from ._captured import captured_stderr
from ._compile_cache_watch import LOCK, PATIENCE, watch

LARGEST = 2**30  # bytes of all programs; JAX removes those unused for longest
PROBE = 2**20  # bytes that must find room
WORKS = "reads-its-own-programs"  # a file that says so
SETTINGS = {
    "jax_compilation_cache_max_size": LARGEST,
    "jax_persistent_cache_min_compile_time_secs": 0.0,  # many small ones take long, too
}


def keep_programs(device: Any = None) -> None:
    """From here on JAX keeps what it compiles in the user's cache folder.

    Call it when processes have joined each other: it may compile a first program.

    Args:
        device: one that will run the programs; by default JAX's first.
    """
    device = jax.local_devices()[0] if device is None else device
    if jax.process_count() > 1:
        return  # JAX keeps those of the first alone: others would wait for each other
    config: Any = jax.config  # its attributes are not declared
    chosen = config.jax_compilation_cache_dir is not None
    if chosen or not config.jax_enable_compilation_cache:
        return  # by the user, or by an earlier call
    try:
        folder = user_cache_folder() / "compiled" / _machine()
        problem = _problem_of(folder, device)
    except (OSError, RuntimeError) as error:  # the latter: the user has no home
        folder, problem = None, reason_of(error)
    if folder is None or problem:
        write_err(f"note: compiled programs are not kept: {problem}")
        return
    for name, value in SETTINGS.items():
        if name.upper() not in os.environ:
            config.update(name, value)
    config.update("jax_compilation_cache_dir", str(folder))
    watch(folder)


def _machine() -> str:
    """Names what programs depend on: JAX, and what this processor can do.

    Home folders are shared by unlike machines.
    """
    features = [platform.machine(), platform.processor()]
    with suppress(OSError):  # there is no such file but on Linux
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        words = ("flags", "Features", "model name")
        features += sorted({line for line in lines if line.startswith(words)})
    digest = hashlib.sha256("\n".join(features).encode()).hexdigest()[:8]
    return f"jax-{version('jax')}-jaxlib-{version('jaxlib')}-{digest}"


def _problem_of(folder: Path, device: Any) -> str | None:
    """Why programs cannot be kept in a folder, which is made if it is not there.

    Raises:
        OSError: the folder cannot be read or written.
    """
    if problem := missing("filelock"):
        return f"this needs {problem}"
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    for made in (folder.parent, folder):
        made.mkdir(mode=0o700, exist_ok=True)
    # What lies in it runs as this user. The group may write in the cache folder itself:
    # it is the user's own wherever folders are made so.
    for place, writable in (
        (folder, 0o022),
        (folder.parent, 0o022),
        (folder.parent.parent, 0o002),
    ):
        about = place.stat()
        if hasattr(os, "getuid") and about.st_uid != os.getuid():
            return f"{quoted(place)} belongs to another user"
        if os.name == "posix" and about.st_mode & writable:
            return f"other users may write in {quoted(place)}; run chmod go-w on it"
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        if file.write(bytes(PROBE)) < PROBE:
            return f"no space is left for {quoted(folder)}"
    if not _can_lock(folder):
        return f"another process has held {quoted(folder / LOCK)} for {PATIENCE:g} s"
    if device.platform == "cpu" and not (folder / WORKS).exists():
        with jax.default_device(device):
            if not _reads_its_own_programs():
                return "XLA rejects what it has compiled for this processor"
        (folder / WORKS).touch()
    return None


def _can_lock(folder: Path) -> bool:
    from filelock import FileLock, Timeout

    try:
        with FileLock(folder / LOCK, timeout=PATIENCE):
            return True
    except Timeout:
        return False
    except NotImplementedError as error:  # by the file system
        raise OSError(str(error)) from None


def _reads_its_own_programs() -> bool:
    """Whether XLA takes back a program that it has just compiled.

    On some processors it prints that features are missing, and compiles anew. Call it
    before there are threads: what these print meanwhile comes late.
    """
    compiled = jax.jit(lambda x: x + 1).lower(0.0).compile()
    problems = []

    def read_back() -> None:
        try:
            deserialize_and_load(*serialize(compiled))
        except Exception as error:
            problems.append(error)

    printed = captured_stderr(read_back)
    rejected = bool(problems) or "machine" in printed.lower()
    if printed and not rejected:
        os.write(2, printed.encode())
    return not rejected
