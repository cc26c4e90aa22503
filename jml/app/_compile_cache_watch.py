"""What is done when JAX cannot read or write a program that is kept on disk.

JAX warns and compiles. But it would warn for each program, wait ten seconds for each
lock, and never replace a damaged file. So at the first warning damaged files are
removed. If there are none, or if another warning follows, the folder is not used again.
"""

import builtins
import re
import threading
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import jax
from jax.experimental.compilation_cache import compilation_cache

from jml._names import quoted
from jml._output import write_err

BEGINNING = "Error (?P<doing>reading|writing) persistent compilation cache"
WARNING = re.compile(BEGINNING + r".*?'.*?': (?P<kind>\w+)(?P<reason>.*)", re.DOTALL)
ZSTANDARD = b"\x28\xb5\x2f\xfd"  # how such a file begins
LOCK = ".lockfile"  # JAX's names of files: this one, and how the others end
PROGRAM, TIME = "-cache", "-atime"
PATIENCE = 2.0  # seconds to wait for another process that holds the lock


def watch(folder: Path) -> None:
    """From here on JAX's warnings about a folder of programs are answered."""
    earlier, answer = warnings.showwarning, _Answer(folder)

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        found = WARNING.match(str(message))
        if found is None:
            earlier(message, category, filename, lineno, file, line)
        else:
            answer(found)

    warnings.filterwarnings("always", BEGINNING, UserWarning)
    warnings.showwarning = show


class _Answer:
    """Mends the folder at the first warning, and leaves it alone after another."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._mended = self._stopped = False

    def __call__(self, warning: re.Match) -> None:
        with self._lock:  # programs are compiled in several threads
            if self._stopped:
                return
            reading = warning["doing"] == "reading"
            removed = _remove(self._folder, _is_damaged)
            if not (removed or self._mended) and reading and _is_of_content(warning):
                removed = _remove(self._folder, lambda program: True)
            if removed and reading and not self._mended:
                files = "damaged file" if removed == 1 else "damaged files"
                self._report(f"{removed} {files} removed; programs are compiled anew")
                self._mended = True
                return
            self._stopped = True
            jax.config.update("jax_enable_compilation_cache", False)
            compilation_cache.reset_cache()
            if not self._mended:
                reason = " ".join((warning["kind"] + warning["reason"]).split())
                self._report(f"not used: {reason}")

    def _report(self, what: str) -> None:
        write_err(f"note: compiled programs in {quoted(self._folder)}: {what}")


def _is_of_content(warning: re.Match) -> bool:
    """Whether a file could be read, and what it holds could not be used."""
    kind = getattr(builtins, warning["kind"], None)
    of_system = isinstance(kind, type) and issubclass(kind, OSError)
    of_lock = warning["kind"] == "Timeout"
    return not (of_system or of_lock)


def _remove(folder: Path, unwanted: Callable[[bytes], bool]) -> int:
    """Removes programs, and files without their other half; returns how many."""
    from filelock import FileLock, Timeout

    def is_unwanted(path: Path) -> bool:
        if path.name.endswith(TIME):
            return not _other(path, TIME, PROGRAM).exists()
        return not _other(path, PROGRAM, TIME).exists() or unwanted(path.read_bytes())

    removed = 0
    with suppress(OSError, Timeout):
        paths = [*folder.glob(f"*{PROGRAM}"), *folder.glob(f"*{TIME}")]
        paths = [path for path in paths if is_unwanted(path)]  # others may write on
        with FileLock(folder / LOCK, timeout=PATIENCE):
            for path in paths:
                if path.exists() and is_unwanted(path):  # still, with none writing
                    path.unlink()
                    removed += path.name.endswith(PROGRAM)
                    _other(path, PROGRAM, TIME).unlink(missing_ok=True)
    return removed


def _other(path: Path, end: str, other_end: str) -> Path:
    """The file beside another whose name ends differently."""
    return path.with_name(path.name.removesuffix(end) + other_end)


def _is_damaged(program: bytes) -> bool:
    """Whether the check of the compression fails, where this module can make it."""
    if program.startswith(ZSTANDARD):  # JAX's choice where it is installed
        return False
    try:
        zlib.decompress(program)
    except zlib.error:
        return True
    return False
