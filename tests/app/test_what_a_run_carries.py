"""``--memory``, ``--learn`` and draws: what a run carries beside the network."""

import json
import signal

import pytest

from jml.app._compile_ahead import Ahead
from jml.app._config import Config, parse
from jml.app._config._consistency import differences
from jml.app._logging import _journal as journal
from tests.app.runs import SMALL_RUN, records_of

LEARN = ["--loss=multi_similarity", "--learn=base", "--loss_lr=0.05"]
DRAWS = ["--miner=distance_weighted", "--reduction=nonzero"]
MEMORY = ["--memory=60", "--memory_warmup=2", "--microbatch=12"]


@pytest.mark.slow
@pytest.mark.usefixtures("short_network", "without_reports")
def test_a_run_with_a_memory_learned_numbers_and_draws_goes_on_where_it_was_cut(
    images, main, tmp_path, monkeypatch
):
    flags = [*SMALL_RUN, f"--dataroot={images}", f"--checkpoints_path={tmp_path}"]
    flags += [*MEMORY, *LEARN, *DRAWS, "--maxiter=8", "--eval_interval=8"]
    assert main([*flags, "--name=whole"]) == 0
    step = journal.Journal.step

    def interrupted(self, record):
        step(self, record)
        if record["step"] == 4:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(journal.Journal, "step", interrupted)
        assert main([*flags, "--name=cut"]) == 128 + signal.SIGTERM
    assert main([*flags, "--name=cut", "--resume"]) == 0
    whole, cut = (
        [(r["loss"], r["base"]) for r in records_of(tmp_path / name) if "loss" in r]
        for name in ("whole", "cut")
    )
    assert cut == whole and len(whole) == 8
    bases = [base for _, base in whole]
    assert bases[0] == 0.5 and len(set(bases)) == 8
    assert all(abs(base - 0.5) < 8 * 0.05 for base in bases)  # steps of Adam
    weights = "weights.safetensors"
    assert (tmp_path / "cut" / weights).read_bytes() == (
        tmp_path / "whole" / weights
    ).read_bytes()
    monkeypatch.setattr(Ahead, "begin", lambda *_: None)  # as `nothing_ahead` does
    assert main([*flags, "--name=cut", "--resume", "--memory=61"]) == 2


def test_a_warm_up_without_a_memory_is_noted():
    note = "--memory_warmup has no effect without --memory"
    assert parse(["--memory_warmup=5"]).notes == (note,)
    assert parse(["--memory_warmup=5", "--memory=7"]).notes == ()


def test_a_run_from_before_the_memory_goes_on_without_one():
    from dataclasses import asdict

    saved = json.loads(json.dumps(asdict(Config())))
    del saved["memory"], saved["memory_warmup"]
    assert differences(Config(), saved) == []
    assert differences(Config(memory_warmup=3), saved) == []
    assert differences(Config(memory=100), saved) == [
        "--memory was None, is 100",
        "--memory_warmup was None, is 450",
    ]
