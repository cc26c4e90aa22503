"""A run that is killed, and goes on, ends where one that was not does."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from jml.errors import Interrupted, UserError
from jml.training import Checkpoints, NotFinite, fit
from tests.training import own_network

slow = pytest.mark.slow
KILLS, STEPS, EVERY = 20, 300, 4


def child(folder):
    program = [sys.executable, "-m", "tests.training.own_network"]
    arguments = [str(folder), str(STEPS), str(EVERY)]
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
    }
    return subprocess.Popen(
        [*program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | compiled,
    )


def saved(folder):
    return sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit())


def kill_at_a_random_moment(folder, rng):
    """Returns the step the process began from; it dies some steps later."""
    with child(folder) as process:
        first = int(process.stdout.readline().split()[1])
        for _ in range(rng.randrange(1, 8)):
            process.stdout.readline()
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    return first


@slow
def test_a_run_that_is_killed_twenty_times_ends_as_an_unharmed_one(tmp_path, capsys):
    with child(tmp_path / "whole") as whole:
        expected = whole.stdout.read().splitlines()[-1]
    rng, folder, cut = random.Random(0), tmp_path / "killed", 0
    for _ in range(KILLS):
        before = saved(folder) if folder.exists() else []
        first = kill_at_a_random_moment(folder, rng)
        assert first == max(before, default=0)  # none was lost, none is half-written
        cut += any(not p.name.isdigit() for p in folder.iterdir())
    with child(folder) as last:
        assert last.stdout.read().splitlines()[-1] == expected
    with capsys.disabled():
        print(f"\n{KILLS} kills, {cut} of them during a save; {expected}")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with the checkpoints of twelve steps, and the state after twenty."""
    folder = tmp_path_factory.mktemp("checkpoints") / "some"
    run(folder, steps=12)
    return folder, run(shutil.copytree(folder, folder.with_name("more")), steps=20)


def run(folder, *, steps, notify=print, skip_nan=False, **options):
    step, state = own_network.start(skip_nan=skip_nan)
    checkpoints = Checkpoints(folder, notify=notify)
    try:
        return fit(
            step,
            checkpoints.restore(state),
            options.pop("batches", own_network.batch),
            steps=steps,
            hyper=own_network.Hyper(ema=0.9),
            every=4,
            checkpoints=checkpoints,
            **options,
        )
    finally:
        checkpoints.close()


def equal(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


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
    equal(run(folder, steps=20, notify=notes.append), trained[1])
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_a_checkpoint_and_ends_the_run(trained, tmp_path, number):
    def log(record):
        if record["step"] == 5:
            signal.raise_signal(number)

    with pytest.raises(Interrupted, match="after step") as ended:
        run(tmp_path / "c", steps=20, log=log)
    assert ended.value.number == number
    assert saved(tmp_path / "c")[-1] in range(5, 20)
    equal(run(tmp_path / "c", steps=20), trained[1])


def test_a_signal_during_evaluation_saves_a_checkpoint(trained, tmp_path):
    def evaluate(step, state):
        if step == 8:
            signal.raise_signal(signal.SIGTERM)
        return {}

    with pytest.raises(Interrupted, match="after step 8"):
        run(tmp_path / "c", steps=20, evaluate=evaluate)
    assert saved(tmp_path / "c")[-1] == 8
    equal(run(tmp_path / "c", steps=20), trained[1])


def test_a_second_signal_ends_the_run_at_once(tmp_path, request):
    # A job in the background of a shell ignores SIGINT: nothing would end this.
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, earlier))

    def log(record):
        if record["step"] == 2:
            signal.raise_signal(signal.SIGINT)
            # Two that come together are one to Python: the first must be noted.
            while signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
                time.sleep(0.001)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as ended:
        run(tmp_path / "c", steps=20, log=log)
    assert not isinstance(ended.value, Interrupted)


def test_a_signal_at_the_very_end_is_not_lost(tmp_path):
    def after_evaluation(step, state):
        signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match="after step 4"):
        scores = {
            "evaluate": lambda step, state: {},
            "after_evaluation": after_evaluation,
        }
        run(tmp_path / "c", steps=4, **scores)
    assert saved(tmp_path / "c") == [4]


def test_an_error_of_a_function_passed_to_fit_saves_a_checkpoint_first(
    trained, tmp_path
):
    def fail(step):
        if step == 6:
            raise ValueError("no room")

    for number, options in enumerate(
        [
            {"log": lambda record: fail(record["step"])},
            {"evaluate": lambda step, state: fail(step + 2) or {}},
            {
                "evaluate": lambda step, state: {},
                "after_evaluation": lambda step, state: fail(step + 2),
            },
        ]
    ):
        folder = tmp_path / str(number)
        with pytest.raises(ValueError, match="no room"):
            run(folder, steps=20, **options)
        # Steps are on their way when an earlier one is logged.
        assert saved(folder) == ([4, 8] if number == 0 else [4])
    equal(run(tmp_path / "0", steps=20), trained[1])


def test_a_signal_does_not_interrupt_after_evaluation(tmp_path):
    done = []

    def after_evaluation(step, state):
        signal.raise_signal(signal.SIGINT)
        done.append(step)

    scores = {
        "evaluate": lambda step, state: {"recall@1": 0.5},
        "after_evaluation": after_evaluation,
    }
    with pytest.raises(Interrupted, match="after step"):
        run(tmp_path / "c", steps=20, **scores)
    assert done == [4]
    checkpoints = Checkpoints(tmp_path / "c")
    assert checkpoints._scores[4] == 0.5
    checkpoints.close()


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


def nan_at(*steps):
    def batch(step):
        images, labels = own_network.batch(step)
        return images * (np.nan if step in steps else 1), labels

    return batch


def test_a_nan_stops_the_run_with_the_state_before_it(trained, tmp_path):
    logged = []
    with pytest.raises(NotFinite, match=r"the loss is nan .* at step 7;") as error:
        run(tmp_path / "c", steps=20, batches=nan_at(6), log=logged.append)
    assert error.value.record["step"] == 7
    assert [record["step"] for record in logged] == [1, 2, 3, 4, 5, 6]
    assert saved(tmp_path / "c") == [4, 6]
    equal(run(tmp_path / "c", steps=20), trained[1])


@slow
def test_steps_that_are_not_finite_are_skipped_if_asked(tmp_path):
    logged = []
    options = {"batches": nan_at(6, 7), "log": logged.append}
    state = run(tmp_path / "c", steps=12, skip_nan=True, **options)
    assert (int(state.step), int(state.skipped)) == (12, 2)
    assert [r["step"] for r in logged if not r["finite"]] == [7, 8]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


def test_batches_may_be_an_iterator_in_place_of_a_function(trained, tmp_path):
    def batches():
        return map(own_network.batch, range(20))

    run(tmp_path / "c", steps=12, batches=batches())
    equal(run(tmp_path / "c", steps=99, batches=batches()), trained[1])


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
