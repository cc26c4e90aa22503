"""A run that a signal, an error or a loss that is not finite ends is saved."""

import signal
import time

import jax
import numpy as np
import pytest

from jml.errors import Interrupted
from jml.training import Checkpoints, NotFinite
from tests.training import own_network
from tests.training.own_network import assert_equal, run, saved

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_a_checkpoint_and_ends_the_run(trained, tmp_path, number):
    def log(record):
        if record["step"] == 5:
            signal.raise_signal(number)

    with pytest.raises(Interrupted, match="after step") as ended:
        run(tmp_path / "c", steps=20, log=log)
    assert ended.value.number == number
    assert saved(tmp_path / "c")[-1] in range(5, 20)
    assert_equal(run(tmp_path / "c", steps=20), trained[1])


def test_a_signal_during_evaluation_saves_a_checkpoint(trained, tmp_path):
    def evaluate(step, state):
        if step == 8:
            signal.raise_signal(signal.SIGTERM)
        return {}

    with pytest.raises(Interrupted, match="after step 8"):
        run(tmp_path / "c", steps=20, evaluate=evaluate)
    assert saved(tmp_path / "c")[-1] == 8
    assert_equal(run(tmp_path / "c", steps=20), trained[1])


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


@pytest.mark.parametrize("function", ["log", "evaluate", "after_evaluation"])
def test_an_error_of_a_function_passed_to_fit_saves_a_checkpoint_first(
    trained, tmp_path, function
):
    def fail(step):
        if step == 6:
            raise ValueError("no room")

    options = {
        "log": {"log": lambda record: fail(record["step"])},
        "evaluate": {"evaluate": lambda step, state: fail(step + 2) or {}},
        "after_evaluation": {
            "evaluate": lambda step, state: {},
            "after_evaluation": lambda step, state: fail(step + 2),
        },
    }
    with pytest.raises(ValueError, match="no room"):
        run(tmp_path / "c", steps=20, **options[function])
    # Steps are on their way when an earlier one is logged.
    assert saved(tmp_path / "c") == ([4, 8] if function == "log" else [4])
    assert_equal(run(tmp_path / "c", steps=20), trained[1])


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
    assert_equal(run(tmp_path / "c", steps=20), trained[1])


@pytest.mark.slow
def test_steps_that_are_not_finite_are_skipped_if_asked(tmp_path):
    logged = []
    options = {"batches": nan_at(6, 7), "log": logged.append}
    state = run(tmp_path / "c", steps=12, skip_nan=True, **options)
    assert (int(state.step), int(state.skipped)) == (12, 2)
    assert [r["step"] for r in logged if not r["finite"]] == [7, 8]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))
