"""Programs that a command has compiled are found again, and never cost a run more."""

import json
import os
import resource
import signal
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import jax
import pytest
from filelock import FileLock
from jax.experimental.compilation_cache import compilation_cache

from jml.app import _compile_cache
from jml.app._compile_cache import keep_programs
from jml.app._compile_cache_watch import LOCK

SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's cache folder; JAX's settings are those of a new process."""
    earlier = {name: getattr(jax.config, name) for name in SETTINGS}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.delenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", raising=False)
    jax.config.update("jax_compilation_cache_dir", None)
    compilation_cache.reset_cache()
    with warnings.catch_warnings():
        yield tmp_path
    for name, value in earlier.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture
def compiled():
    """Compiles one of two programs anew, unless the cache has it."""

    def compile_it(number):
        jax.clear_caches()
        return jax.jit(lambda x: x * number - 1)(3.0).item()

    return compile_it


def programs(home):
    return sorted(home.glob("jml/compiled/*/*-cache"))


def folder_of(home):
    (folder,) = (home / "jml" / "compiled").iterdir()
    return folder


def test_programs_are_kept_and_read_again(home, compiled, capsys):
    keep_programs()
    assert compiled(2) == 5
    (before,) = programs(home)
    stamp = before.stat().st_mtime_ns
    hits = []
    jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))
    try:
        assert compiled(2) == 5
    finally:
        jax.monitoring.clear_event_listeners()
    assert "/jax/compilation_cache/cache_hits" in hits
    assert [before] == programs(home) and before.stat().st_mtime_ns == stamp
    assert capsys.readouterr().err == ""
    assert folder_of(home).stat().st_mode & 0o777 == 0o700


def test_the_folder_is_named_by_jax_and_by_the_processor(home, monkeypatch):
    first = _compile_cache._machine()
    assert f"jaxlib-{jax.lib.__version__}-" in first
    monkeypatch.setattr(_compile_cache.platform, "machine", lambda: "another")
    assert _compile_cache._machine() != first


def test_jax_settings_of_the_user_win(home, monkeypatch, compiled):
    own = home / "own"
    jax.config.update("jax_compilation_cache_dir", str(own))
    keep_programs()
    assert jax.config.jax_compilation_cache_dir == str(own)
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", False)
    keep_programs()
    assert jax.config.jax_compilation_cache_dir is None
    jax.config.update("jax_enable_compilation_cache", True)
    monkeypatch.setenv("JAX_COMPILATION_CACHE_MAX_SIZE", "12345")
    jax.config.update("jax_compilation_cache_max_size", 12345)
    keep_programs()
    assert jax.config.jax_compilation_cache_max_size == 12345
    assert not (home / "own").exists()


@pytest.mark.parametrize("content", [b"", b"no program", zlib.compress(b"no program")])
def test_damaged_programs_are_replaced_with_one_line(home, compiled, capsys, content):
    keep_programs()
    assert [compiled(2), compiled(3)] == [5, 8]
    good = {path: path.read_bytes() for path in programs(home)}
    for path in good:
        path.write_bytes(content)
    assert [compiled(2), compiled(3)] == [5, 8]
    assert capsys.readouterr().err.count("\n") == 1
    # The same programs; XLA does not give the same bytes each time.
    assert sorted(programs(home)) == sorted(good)
    assert all(path.read_bytes() != content for path in good)
    assert [compiled(2), compiled(3)] == [5, 8]
    assert capsys.readouterr().err == ""


def test_a_program_cut_short_is_replaced_and_others_are_kept(home, compiled, capsys):
    keep_programs()
    compiled(2)
    (kept,) = programs(home)
    compiled(3)
    (cut,) = set(programs(home)) - {kept}
    inode = kept.stat().st_ino
    cut.write_bytes(cut.read_bytes()[:-20])
    assert compiled(3) == 8
    assert "1 damaged file removed" in capsys.readouterr().err
    assert kept.stat().st_ino == inode


def test_a_full_disk_costs_the_cache_and_leaves_no_half_programs(
    home, compiled, capsys
):
    keep_programs()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    earlier = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        assert [compiled(2), compiled(3), compiled(4)] == [5, 8, 11]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, earlier)
    assert capsys.readouterr().err.count("\n") == 1
    assert programs(home) == []


def test_no_room_at_the_start_is_one_line(home, capsys):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    earlier = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        keep_programs()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, earlier)
    assert jax.config.jax_compilation_cache_dir is None
    assert capsys.readouterr().err.startswith("note: compiled programs are not kept: ")


def test_a_folder_that_cannot_be_made_is_one_line(home, monkeypatch, capsys, compiled):
    (home / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "file"))
    keep_programs()
    assert compiled(2) == 5
    err = capsys.readouterr().err
    assert err.startswith("note: compiled programs are not kept: ")
    assert "Not a directory" in err and err.count("\n") == 1


@pytest.mark.parametrize("above", [0, 1, 2])
def test_a_folder_that_others_can_write_is_not_read(home, capsys, above):
    keep_programs()
    jax.config.update("jax_compilation_cache_dir", None)
    [folder_of(home), *folder_of(home).parents][above].chmod(0o777)
    keep_programs()
    assert jax.config.jax_compilation_cache_dir is None
    assert "other users may write" in capsys.readouterr().err


def test_a_lock_that_is_held_costs_the_cache(home, capsys, monkeypatch, compiled):
    keep_programs()
    folder = folder_of(home)
    jax.config.update("jax_compilation_cache_dir", None)
    monkeypatch.setattr(_compile_cache, "PATIENCE", 0.1)
    held = (
        "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire();"
        " print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", held, str(folder / LOCK)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        process.stdout.readline()
        keep_programs()
        process.stdin.close()
    assert jax.config.jax_compilation_cache_dir is None
    assert "another process has held" in capsys.readouterr().err
    with FileLock(folder / LOCK, timeout=1):
        pass


def test_warnings_of_several_threads_are_one_line(home, capsys):
    keep_programs()
    for name in ("one", "another"):  # JAX has begun both before the first is answered
        begin = f"Error writing persistent compilation cache entry for '{name}'"
        warnings.warn(f"{begin}: OSError: [Errno 28] No space left", stacklevel=1)
    assert capsys.readouterr().err.count("\n") == 1
    assert not jax.config.jax_enable_compilation_cache


@pytest.mark.parametrize("by_error", [False, True])
def test_a_processor_whose_programs_xla_rejects_keeps_none(
    home, monkeypatch, capsys, by_error
):
    def rejects(*arguments):
        if by_error:
            raise ValueError("no such feature")
        line = b"Loading XLA:CPU AOT result. Machine type used does not match\n"
        os.write(2, line)

    monkeypatch.setattr(_compile_cache, "deserialize_and_load", rejects)
    keep_programs()
    assert jax.config.jax_compilation_cache_dir is None
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.undo()


def test_runs_that_start_at_once_share_the_folder(home):
    """None prints anything, and each has its result."""
    work = (
        "import jax, json; from jml.app._compile_cache import keep_programs;"
        "keep_programs(); print(json.dumps([jax.jit(lambda x: x * n + 1)(2.0).item()"
        " for n in range(6)]))"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", work],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        out, err = process.communicate()
        assert (json.loads(out), err) == ([1, 3, 5, 7, 9, 11], "")
    assert len(programs(home)) >= 6
