"""TensorBoard's own reader finds what is logged; Weights & Biases gets it too."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jml.app._config import Config
from jml.app._logging import Journal, WandbLog
from jml.app._logging._event_file import EventFile, _varint
from jml.app._run_folder import RunFolder
from jml.errors import UserError
from tests.app.fake_wandb import FakeWandb


def read(folder):
    """Scalars by name, as (step, value), read in a process of its own."""
    program = (
        "import sys, json\n"
        "from tensorboard.backend.event_processing import event_accumulator as e\n"
        "a = e.EventAccumulator(sys.argv[1]); a.Reload()\n"
        "tags = a.Tags()['scalars']\n"
        "print(json.dumps({t: [(x.step, x.value) for x in a.Scalars(t)]"
        " for t in tags}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, "."],
        cwd=folder,  # TensorBoard takes no path that is not UTF-8
        capture_output=True,
        text=True,
        check=True,
    )
    import json

    return json.loads(done.stdout.splitlines()[-1])


def test_scalars_of_an_event_file_read_back(tmp_path):
    file = EventFile(tmp_path)
    values = {1: 0.5, 2: -3e30, 300: 1e-30, 2**40: 7.0}
    for step, value in values.items():
        file.log(step, {"train/loss": value, "test/recall@1": 0.25, "x": np.nan})
    file.close()
    found = read(tmp_path)
    assert set(found) == {"train/loss", "test/recall@1"}
    assert [step for step, _ in found["train/loss"]] == list(values)
    expected = np.array(list(values.values()), np.float32)
    np.testing.assert_array_equal([v for _, v in found["train/loss"]], expected)


def test_a_resumed_run_replaces_what_came_after_its_checkpoint(tmp_path):
    for first, value in ((1, 1.0), (6, 2.0)):
        file = EventFile(tmp_path, first_step=first)
        for step in range(first, first + 8):
            file.log(step, {"loss": value})
        file.close()
    found = read(tmp_path)["loss"]
    assert found == [[s, 1.0 if s < 6 else 2.0] for s in range(1, 14)]


@given(st.integers(0, 2**63 - 1))
def test_varints_of_event_files_decode_to_their_value(value):
    encoded = _varint(value)
    assert all(byte & 128 for byte in encoded[:-1]) and not encoded[-1] & 128
    assert sum((byte & 127) << 7 * i for i, byte in enumerate(encoded)) == value


def journal_in(path, **options):
    config = Config(checkpoints_path=str(path), **{"name": "mine", **options})
    run = RunFolder.claim(config)
    try:
        trackers = [WandbLog(config, run.path, resumed=True)]
        run.start(config)
        return Journal(config, run, trackers), run
    except UserError:
        run.release()
        raise


def test_weights_and_biases_gets_what_is_logged(tmp_path, monkeypatch):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    journal, run = journal_in(tmp_path, wandb="birds")
    journal.baseline("raw pixels", {1: 0.1})
    journal.evaluation(0, {1: 0.2})
    journal.step({"step": 1, "loss": 0.5, "seconds": 0.1, "finite": True})
    journal.close()
    run.release()
    (options,) = wandb.started
    assert (options["project"], options["id"], options["resume"]) == (
        "birds",
        "mine",
        "allow",
    )
    assert options["config"]["loss"] == "contrastive"
    (_, first), (step, second) = wandb.logged
    assert first == {"test/recall@1": 0.2}
    assert step == 1 and second["train/loss"] == 0.5 and second["train/memory"] > 1e6
    assert wandb.finished == 1
    found = read(tmp_path / "mine" / "tensorboard")
    assert found["train/loss"] == [[1, 0.5]] and found["test/recall@1"][0][0] == 0


def test_a_tracker_that_fails_is_left_alone(tmp_path, monkeypatch, capsys):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    place = tmp_path / "runs\udce9"
    journal, run = journal_in(place, name="m\udce9", wandb="b\udce9")
    calls = []
    wandb.log = lambda *arguments, **options: calls.append(1) / 0
    for step in (1, 2):
        journal.step({"step": step, "loss": 0.5, "seconds": 0.1, "finite": True})
    journal.close_trackers()
    run.release()
    assert len(calls) == wandb.finished == 1
    assert journal.attempts.problems.keys() == {"wandb"}
    assert capsys.readouterr().err.count("the run goes on") == 1
    assert len(read(run.path / "tensorboard")["train/loss"]) == 2
    # What is sent is UTF-8, and a run of another name is another run.
    other = WandbLog(Config(wandb="b"), tmp_path / "m\udce8", resumed=False)
    other.close()
    ids = [options["id"] for options in wandb.started]
    assert len(set(ids)) == 2
    for value in (*wandb.started[0].values(), *wandb.started[0]["config"].values()):
        if isinstance(value, str):
            value.encode()
    assert wandb.started[0]["name"] == wandb.started[1]["name"] == "m\ufffd"


@pytest.mark.parametrize("broken", [False, True])
def test_weights_and_biases_that_is_not_installed_is_one_line(
    tmp_path, monkeypatch, broken
):
    wandb = FakeWandb() if broken else None
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    if broken:

        def init(**options):
            raise RuntimeError("no API key\nconfigured")

        wandb.init = init
    words = "no API key configured; run wandb login" if broken else "not installed"
    with pytest.raises(UserError, match=f"--wandb: .*{words}"):
        journal_in(tmp_path, wandb="birds")
