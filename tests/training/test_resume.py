"""A run that is killed, and goes on, ends where one that was not does."""

import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

import numpy as np
import pytest

from jml.errors import UserError
from jml.training import Checkpoints
from tests.training import own_network
from tests.training.own_network import assert_equal, run, saved

pytestmark = pytest.mark.usefixtures("quick_compilation")
slow = pytest.mark.slow
KILLS, STEPS, EVERY = 20, 300, 4


# One process imports JAX, traces the step, and forks another for each run. That is
# safe: until it computes, JAX has no threads.
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.training.traced_network"])


@contextmanager
def child(folder):
    """A process that trains, and its end of the pipe that it reports to."""
    reports, end = processes.Pipe(duplex=False)
    arguments = end, folder, STEPS, EVERY
    process = processes.Process(target=own_network.report_steps, args=arguments)
    process.start()
    end.close()
    with reports:
        yield process, reports
    process.join()


def all_of(folder):
    """The report of a run that goes on to its end."""
    with child(folder) as (process, reports):
        while not isinstance(report := reports.recv(), str):
            pass
    assert process.exitcode == 0
    return report


def kill_at_a_random_moment(folder, rng):
    """Returns the step the process began from; it dies some steps later."""
    with child(folder) as (process, reports):
        first = reports.recv()
        for _ in range(rng.randrange(1, 8)):
            reports.recv()
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.join()
    assert process.exitcode == -signal.SIGKILL
    return first


@slow
def test_a_run_that_is_killed_twenty_times_ends_as_an_unharmed_one(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "compiled"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
    expected = all_of(tmp_path / "whole")
    rng, folder, cut = random.Random(0), tmp_path / "killed", 0
    for _ in range(KILLS):
        before = saved(folder) if folder.exists() else []
        first = kill_at_a_random_moment(folder, rng)
        assert first == max(before, default=0)  # none was lost, none is half-written
        cut += any(not p.name.isdigit() for p in folder.iterdir())
    assert all_of(folder) == expected
    with capsys.disabled():
        print(f"\n{KILLS} kills, {cut} of them during a save; {expected}")


def pieces(folder):
    """Files the last checkpoint cannot do without: arrays, their index, what they are.

    How many files the arrays are spread over is decided by the threads that write them;
    the largest always holds some.
    """
    state = folder / "12" / "state"
    largest = max(state.rglob("*/d/*"), key=lambda p: p.stat().st_size)
    return [largest, state / "manifest.ocdbt", folder / "12" / "about" / "metadata"]


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm", [cut, *(pytest.param(way, marks=slow) for way in (flip, os.unlink))]
)
@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=slow) for n in (1, 2))])
def test_a_damaged_checkpoint_is_skipped_and_put_aside(
    trained, tmp_path, harm, number, capfd
):
    folder = shutil.copytree(trained[0], tmp_path / "c")
    harm(pieces(folder)[number])
    notes = []
    assert_equal(run(folder, steps=20, notify=notes.append), trained[1])
    assert len(notes) == 1 and notes[0].startswith("checkpoint 12 cannot be read")
    aside = tmp_path / "unreadable-c-12"
    assert aside.is_dir() and str(aside) in notes[0]
    assert "Traceback" not in capfd.readouterr().err


@slow
def test_a_resume_without_a_readable_checkpoint_changes_nothing(trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / "c")
    for step in saved(folder):
        for path in (folder / str(step)).rglob("*"):
            if path.is_file():
                path.write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=r"no checkpoint in .* can be read"):
        run(folder, steps=20)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_checkpoint_of_another_program_is_refused(tmp_path):
    import orbax.checkpoint as ocp

    with ocp.CheckpointManager(tmp_path / "c") as manager:
        manager.save(3, args=ocp.args.StandardSave({"weights": np.ones(3)}))
    with pytest.raises(UserError, match="no checkpoint"):
        run(tmp_path / "c", steps=4)
    assert saved(tmp_path / "c") == [3]


def test_a_checkpoint_of_another_network_is_refused(trained):
    _, state = own_network.start()
    narrow = state._replace(params={**state.params, "second": np.ones((512, 3))})
    checkpoints = Checkpoints(trained[0])
    with pytest.raises(UserError, match=r"another network: .*second is \[\[512, 16\]"):
        checkpoints.restore(narrow)
    checkpoints.close()


def test_the_last_and_the_best_checkpoints_are_kept(tmp_path):
    scores = {4: 0.1, 8: 0.9, 12: 0.3, 16: 0.2, 20: 0.5}
    for steps in (12, 20):  # the second run knows the scores of the first
        evaluate = lambda step, state: {"recall@1": scores[step]}  # noqa: E731
        run(tmp_path / "c", steps=steps, evaluate=evaluate)
    assert saved(tmp_path / "c") == [8, 16, 20]


def test_a_checkpoint_may_get_its_score_later(tmp_path):
    _, state = own_network.start()
    checkpoints = Checkpoints(tmp_path / "c", keep=1)
    checkpoints.save(state)
    checkpoints.set_score(0, 0.7)
    for number, score in ((1, 0.6), (2, float("nan"))):
        later = state._replace(step=state.step + number)
        checkpoints.save(later, {"recall@1": score})
    checkpoints.close()
    assert saved(tmp_path / "c") == [0, 2]


def test_a_checkpoint_of_the_same_step_is_not_replaced(trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / "c")
    _, state = own_network.start()
    checkpoints = Checkpoints(folder)
    with pytest.raises(UserError, match="has a checkpoint of step 12 already"):
        checkpoints.save(state._replace(step=state.step + 12))
    checkpoints.close()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file' is not a folder"):
        Checkpoints(tmp_path / "file")


def test_batches_may_be_an_iterator_in_place_of_a_function(trained, tmp_path):
    def batches():
        return map(own_network.batch, range(20))

    run(tmp_path / "c", steps=12, batches=batches())
    assert_equal(run(tmp_path / "c", steps=99, batches=batches()), trained[1])


@pytest.mark.skipif(not os.path.exists("/dev/shm"), reason="needs a small file system")
def test_a_checkpoint_on_a_full_disk_is_one_line(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)],
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("may not mount a file system")
    try:
        with pytest.raises(
            UserError, match=r"cannot write .*small.*No space left on device; free"
        ):
            run(small / "c", steps=12)
    finally:
        subprocess.run(["umount", str(small)])
