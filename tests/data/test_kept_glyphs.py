"""Drawn glyphs in a file: read where it is whole, drawn where it is not."""

import errno
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from jml import _whole_files
from jml._user_cache import user_cache_folder
from jml.data import glyphs
from jml.data._glyphs import _glyphs, _kept


@pytest.fixture
def drawn(monkeypatch):
    """Draws a few characters; notes each drawing."""
    points, calls = [ord(char) for char in "ABCDEFGabcdefg\u0391"], []
    monkeypatch.setattr(_glyphs, "shared_code_points", lambda files: points)
    draw = _glyphs._draw

    def noted(files, image_size, seed):
        calls.append((image_size, seed))
        return draw(files, image_size, seed)

    monkeypatch.setattr(_glyphs, "_draw", noted)
    return calls


@pytest.fixture(scope="module")
def ended_process():
    """The number of a process that is gone."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def load(folder, **options):
    return glyphs(**{"image_size": 16, "cache_folder": folder} | options)


def assert_same(one, other):
    for a, b in ((one.train, other.train), (one.query, other.query)):
        assert (a.images == b.images).all() and a.images.flags.writeable
        assert (a.labels == b.labels).all()
        assert a.images.dtype == b.images.dtype and a.labels.dtype == b.labels.dtype
    assert one.class_names == other.class_names


def test_glyphs_are_drawn_once_for_each_size_and_seed(tmp_path, drawn):
    folder = tmp_path / "not" / "there"
    plain = load(None, cache="host")
    assert_same(load(folder), plain)
    assert_same(load(str(folder)), plain)
    assert drawn == [(16, 0)] * 2 and len([*folder.iterdir()]) == 1
    load(folder, seed=1), load(folder, image_size=17), load(folder, seed=1)
    assert drawn[2:] == [(16, 1), (17, 0)] and len([*folder.iterdir()]) == 3


def test_glyphs_are_kept_in_the_cache_of_the_user(tmp_path, drawn, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load(None), load(None), load(None, cache="host")
    assert len(drawn) == 2
    (file,) = (tmp_path / "jml").iterdir()
    assert file.name.startswith("glyphs-16px-")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # no path, by the specification
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache_folder() == tmp_path / ".cache" / "jml"


def test_other_fonts_and_programs_have_other_files(tmp_path, monkeypatch):
    font = tmp_path / "a.ttf"
    font.write_bytes(b"one")
    digests = {_kept._digest([font], 16, 0), _kept._digest([font], 16, 0)}
    assert len(digests) == 1
    font.write_bytes(b"two")
    digests.add(_kept._digest([font], 16, 0))
    monkeypatch.setattr("PIL.__version__", "0")
    digests.add(_kept._digest([font], 16, 0))
    monkeypatch.setattr("PIL.features.version", lambda name: "another")
    digests.add(_kept._digest([font], 16, 0))
    assert len(digests) == 4


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:900] + bytes([content[900] ^ 1]) + content[901:],
        lambda content: b"",
        lambda content: np.random.default_rng(0).bytes(len(content)),
    ],
    ids=["half", "a bit", "empty", "noise"],
)
def test_a_damaged_file_of_glyphs_is_drawn_anew(tmp_path, drawn, damage, capfd):
    plain = load(tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(damage(content))
    assert_same(load(tmp_path), plain)
    assert_same(load(tmp_path), plain)
    assert len(drawn) == 2 and file.read_bytes() == content
    assert capfd.readouterr() == ("", "")


def test_glyphs_without_a_place_on_disk_are_drawn(tmp_path, drawn, monkeypatch):
    plain = load(None, cache="host")
    (tmp_path / "file").write_text("no folder")
    assert_same(load(tmp_path / "file"), plain)
    assert_same(load(tmp_path / "file" / "below"), plain)

    def full(file, **arrays):
        file.write(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("numpy.savez", full)
    assert_same(load(tmp_path / "full"), plain)
    assert not [*(tmp_path / "full").iterdir()]
    assert len(drawn) == 4


def test_what_killed_runs_left_of_glyphs_is_removed(tmp_path, drawn, ended_process):
    load(tmp_path)
    (file,) = tmp_path.iterdir()
    file.unlink()
    alive, gone, here = os.getppid(), ended_process, _whole_files._machine()
    left = {
        name: tmp_path / f"{file.name}.partial-{name}"
        for name in (
            f"{alive}-0a",
            f"{gone}-0a",
            f"{alive}-0a@{here}",
            f"{gone}-0a@{here}",
            f"{gone}-0a@another-machine",
            f"{alive}-0b@another-machine",
            "no number",
        )
    }
    for path in left.values():
        path.write_text("begun")
    day_before = time.time() - 90_000
    os.utime(left[f"{alive}-0b@another-machine"], (day_before, day_before))
    load(tmp_path)
    stay = [
        f"{alive}-0a",
        f"{alive}-0a@{here}",
        f"{gone}-0a@another-machine",
    ]
    assert {*tmp_path.iterdir()} == {file, *(left[name] for name in stay)}


def test_what_other_users_are_writing_stays(tmp_path, drawn, monkeypatch):
    def not_allowed(process, signal):
        raise PermissionError

    load(tmp_path)
    (file,) = tmp_path.iterdir()
    file.unlink()
    begun = tmp_path / f"{file.name}.partial-1-0a"
    begun.write_text("begun")
    monkeypatch.setattr(os, "kill", not_allowed)
    load(tmp_path)
    assert {*tmp_path.iterdir()} == {file, begun}
