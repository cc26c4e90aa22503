"""The run folder: claimed early, filled whole, never silently replaced."""

import errno
import json
import os
from functools import partial

import pytest

from jml._attempts import Attempts
from jml._whole_files import replace
from jml.app._config import Config
from jml.app._run_folder import RunFolder
from jml.errors import UserError


def config_in(path, **flags):
    return Config(checkpoints_path=str(path), **flags)


def finished_run(config, weights=b"weights"):
    run = RunFolder.claim(config)
    run.start(config)
    run.log(step=0, **{"recall@1": 0.25})
    run.log(step=1, loss=0.5, lr=0.1)
    attempts = Attempts()
    run.save(lambda path: path.write_bytes(weights), best=False, attempts=attempts)
    attempts.check()
    run.close()
    return run.path


def contents(path):
    return {
        p.relative_to(path): p.is_file() and p.read_bytes() for p in path.rglob("*")
    }


def test_a_run_leaves_four_readable_files(tmp_path):
    config = config_in(tmp_path / "a" / "b", loss="triplet", margin=0.3)
    path = finished_run(config)
    assert path.parent == tmp_path / "a" / "b"
    assert path.name.startswith("glyphs-triplet-semi-")
    names = {"config.json", "metrics.jsonl", "plot.png", "weights.safetensors"}
    assert {p.name for p in path.iterdir()} == names
    saved = json.loads((path / "config.json").read_text())
    assert Config(**saved) == config
    records = [json.loads(x) for x in (path / "metrics.jsonl").read_text().splitlines()]
    assert records == [
        {"step": 0, "recall@1": 0.25},
        {"step": 1, "loss": 0.5, "lr": 0.1},
    ]
    assert (path / "weights.safetensors").read_bytes() == b"weights"
    assert (path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_can_be_followed_while_the_run_goes_on(tmp_path):
    config = config_in(tmp_path)
    run = RunFolder.claim(config)
    run.start(config)
    run.log(step=1, loss=2.0)
    assert (run.path / "metrics.jsonl").read_text() == '{"step": 1, "loss": 2.0}\n'
    run.close()


def test_runs_of_the_same_second_get_their_own_folders(tmp_path):
    paths = {finished_run(config_in(tmp_path)) for _ in range(3)}
    assert len(paths) == 3


def test_an_earlier_run_is_refused_and_left_alone(tmp_path):
    config = config_in(tmp_path, name="mine")
    finished_run(config)
    before = contents(tmp_path)
    with pytest.raises(
        UserError, match=r"--name: .*mine.* holds an earlier run"
    ) as error:
        RunFolder.claim(config)
    assert "--overwrite" in str(error.value)
    assert contents(tmp_path) == before


def test_overwrite_replaces_an_earlier_run_only_once_started(tmp_path):
    finished_run(config_in(tmp_path, name="mine"))
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    before = contents(tmp_path)
    config = config_in(tmp_path, name="mine", overwrite=True)
    run = RunFolder.claim(config)
    assert contents(tmp_path) == before
    run.release()
    assert contents(tmp_path) == before
    path = finished_run(config, weights=b"new")
    assert (path / "weights.safetensors").read_bytes() == b"new"
    assert (path / "notes.txt").read_text() == "keep me"
    assert len((path / "metrics.jsonl").read_text().splitlines()) == 2


def test_release_leaves_no_trace_of_a_run_that_never_started(tmp_path):
    RunFolder.claim(config_in(tmp_path / "a" / "b")).release()
    assert contents(tmp_path) == {}
    RunFolder.claim(config_in(tmp_path, name="mine")).release()
    assert contents(tmp_path) == {}
    run = RunFolder.claim(config_in(tmp_path, name="mine"))
    run.start(config_in(tmp_path, name="mine"))
    run.close()
    run.release()
    assert (tmp_path / "mine" / "config.json").exists()


def test_a_run_folder_below_a_file_is_one_line(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for place in ("file", "file/runs"):
        with pytest.raises(UserError, match=r"--checkpoints_path: cannot write .*file"):
            RunFolder.claim(config_in(tmp_path / place))
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_run_folder_that_is_read_only_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match=r"--checkpoints_path: .*Permission denied"):
        RunFolder.claim(config_in(tmp_path))


def test_a_full_disk_keeps_the_last_whole_files_and_is_noted(tmp_path, monkeypatch):
    config = config_in(tmp_path, name="mine")
    run = RunFolder.claim(config)
    run.start(config)
    attempts = Attempts()
    run.save(lambda path: path.write_bytes(b"good"), best=True, attempts=attempts)
    assert not attempts.problems

    def fill(path, *rest):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    plot = (run.path / "plot.png").read_bytes()
    run.log(step=1, loss=0.5)
    run.save(partial(replace, write=fill), best=True, attempts=attempts)
    weights = {"weights.safetensors", "best.safetensors"}
    assert attempts.problems.keys() == weights
    for reason in attempts.problems.values():
        assert reason.startswith("--checkpoints_path: cannot write ")
        assert "No space left" in reason and "\n" not in reason
    for name in weights:
        assert (run.path / name).read_bytes() == b"good"
    assert (run.path / "plot.png").read_bytes() != plot
    assert not [p for p in run.path.iterdir() if "unfinished" in p.name]
    monkeypatch.setattr("jml.app._run_folder._run_folder.save_plot", fill)
    run.save(lambda path: path.write_bytes(b"new"), best=False, attempts=attempts)
    assert (run.path / "weights.safetensors").read_bytes() == b"new"
    assert attempts.problems.keys() == {"best.safetensors", "plot.png"}
    run.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_disk_that_fills_while_logging_is_one_line(tmp_path):
    config = config_in(tmp_path, name="mine")
    run = RunFolder.claim(config)
    run._metrics = open("/dev/full", "w")  # every write to it fails
    with pytest.raises(UserError, match=r"metrics\.jsonl.*No space left"):
        run.log(step=1, loss=1.0)
    run.close()  # and so does this one, which must not hide the first
