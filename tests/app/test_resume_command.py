"""``--resume`` as its user meets it."""

import json
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from jml import losses
from jml._names import shown
from jml.app._compile_ahead import Ahead
from jml.app._config import Config
from jml.app._logging import _journal as journal
from jml.app._run_folder import RunFolder
from jml.errors import UserError
from jml.training import Checkpoints
from tests.app.fake_wandb import FakeWandb
from tests.app.runs import SMALL_RUN

pytestmark = pytest.mark.usefixtures("short_network")
FLAGS = [*SMALL_RUN, "--maxiter=12", "--eval_interval=5", "--name=a"]


@pytest.fixture(scope="module")
def train(images, main, short_network):
    """Runs the command in a folder."""

    def train(place, *more):
        places = [f"--dataroot={images}", f"--checkpoints_path={place}"]
        return main([*FLAGS, *places, *more])

    return train


@pytest.fixture(scope="module")
def runs(train, tmp_path_factory):
    """The folder of a run that was not interrupted, and of one that was at step 8."""
    whole, cut = (
        tmp_path_factory.mktemp(name) / "r\udce9sum\udce9" for name in ("whole", "cut")
    )
    assert train(whole) == 0
    step = journal.Journal.step

    def interrupted(self, record):
        step(self, record)
        if record["step"] == 8:
            signal.raise_signal(signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.Journal, "step", interrupted)
        assert train(cut) == 128 + signal.SIGTERM
    return whole / "a", cut / "a"


@pytest.fixture
def cut(runs, tmp_path):
    return shutil.copytree(runs[1], tmp_path / "r\udce8sum\udce8" / "a")


def logged(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    times = {"seconds", "images_per_second", "waiting", "memory"}
    records = [json.loads(line) for line in lines]
    return [{k: v for k, v in r.items() if k not in times} for r in records]


@pytest.mark.slow
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(runs, train, cut, capsys):
    with (cut / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99, "loss": 1.0}\n{"step": 100, "lo')  # killed in a write
    # The checkpoint has all parameters, and the rate that went with its weights.
    weights = str(cut.parent / "gone\udce9.pth")
    assert train(cut.parent, "--resume", f"--weights={weights}") == 0
    out, err = capsys.readouterr()
    assert "resumed after step" in err and "untrained" in out and "raw pixels" in out
    (ignored,) = (line for line in err.splitlines() if "gone" in line)
    assert ignored == (
        f"--weights {shown(weights)} is ignored: the checkpoint holds all parameters of"
        " the run, which began with none"
    )
    for settings in (cut / "config.json", runs[0] / "config.json"):
        found = Config(**json.loads(settings.read_text()))
        assert (found.weights, found.lr) == ("none", 7e-4)
        assert Path(found.checkpoints_path).is_dir()  # by its exact bytes
    for name in ("weights.safetensors", "best.safetensors"):
        assert (cut / name).read_bytes() == (runs[0] / name).read_bytes()
    assert logged(cut) == logged(runs[0])


@pytest.mark.slow
def test_a_run_without_a_checkpoint_needs_the_starting_weights(
    train, cut, tmp_path, capsys
):
    gone = f"--weights={tmp_path / 'gone.pth'}"
    for name in ("other", "a"):
        err = refused(train, cut.parent, capsys, "--resume", gone, f"--name={name}")
        assert "--weights: no such file" in err
        shutil.rmtree(cut / "checkpoints", ignore_errors=True)


@pytest.mark.slow
def test_a_failure_beside_or_after_the_training_costs_nothing_else(
    runs, train, cut, capsys, monkeypatch
):
    def broken(*arguments, **options):
        raise RuntimeError("broken")

    wandb = FakeWandb()
    wandb.log = broken
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setattr("jml.app._run_folder._run_folder.save_plot", broken)
    (cut / "plot.png").unlink()
    (cut / "report.html").mkdir()
    save = Checkpoints.save

    def save_or_fail(self, state, scores):
        if int(state.step) == 12:
            raise UserError("full.")
        save(self, state, scores)

    monkeypatch.setattr(Checkpoints, "save", save_or_fail)
    assert train(cut.parent, "--resume", "--wandb=birds") == 1
    out, err = capsys.readouterr()
    assert err.count("wandb: RuntimeError: broken; the run goes on\n") == 1
    assert err.count("plot.png: RuntimeError: broken; the run goes on\n") == 1
    last = err.splitlines()[-1]
    assert last.startswith(
        "train_jax.py: error: trained, and what could be written is in"
        f" '{shown(cut)}'; "
        "wandb, plot.png: RuntimeError: broken; checkpoints: full; report.html: "
    )
    assert "Is a directory; fix this, and --resume" in last
    assert "Traceback" not in err and "trained" in out and wandb.finished == 1
    for name in ("weights.safetensors", "best.safetensors"):
        assert (cut / name).read_bytes() == (runs[0] / name).read_bytes()
    assert (cut / "report" / "cmc.png").exists() and not (cut / "plot.png").exists()
    assert logged(cut) == logged(runs[0])


@pytest.mark.slow
@pytest.mark.usefixtures("without_reports")
def test_a_damaged_log_loses_its_damaged_line_alone(train, cut):
    path = cut / "metrics.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], "not JSON", '{"step": "x"}', *lines[3:]]))
    assert train(cut.parent, "--resume", "--maxiter=10") == 0
    found = path.read_text().splitlines()
    kept = [line for line in lines if json.loads(line).get("step", 0) <= 8]
    assert found[: len(kept)] == kept


@pytest.mark.slow
def test_a_run_without_its_checkpoints_is_not_replaced(runs, train, tmp_path, capsys):
    whole = shutil.copytree(runs[0], tmp_path / "r\udce8sum\udce8" / "a")
    shutil.rmtree(whole / "checkpoints")
    (whole / "checkpoints").mkdir()
    err = refused(train, whole.parent, capsys, "--resume").splitlines()[-1]
    assert "holds a run but no checkpoint" in err


@pytest.mark.slow
@pytest.mark.usefixtures("without_reports")
def test_steps_that_are_not_finite_are_skipped_and_logged(
    train, tmp_path, capsys, monkeypatch
):
    contrastive = losses.contrastive_loss
    monkeypatch.setattr(
        losses, "contrastive_loss", lambda *a, **k: np.nan * contrastive(*a, **k)
    )
    flags = ["--loss=contrastive", "--on_nan=skip", "--maxiter=2"]
    assert train(tmp_path, *flags) == 0
    assert "2 steps were not finite and have been skipped" in capsys.readouterr().out
    text = (tmp_path / "a" / "metrics.jsonl").read_text()
    assert "NaN" not in text and "Infinity" not in text
    steps = [r for r in map(json.loads, text.splitlines()) if "not_finite" in r]
    assert [r["step"] for r in steps] == [1, 2] and not any("loss" in r for r in steps)


@pytest.mark.slow
@pytest.mark.usefixtures("without_reports")
def test_a_finished_run_may_be_given_more_steps(runs, train, cut, capsys):
    assert train(cut.parent, "--resume", "--maxiter=14", "--on_nan=skip") == 0
    before = [r for r in logged(runs[0]) if r.get("step", 0) < 12]
    assert logged(cut)[: len(before)] == before
    assert json.loads((cut / "config.json").read_text())["maxiter"] == 14
    assert train(cut.parent, "--resume", "--maxiter=13") == 2
    assert "--maxiter: 13 is less than the 14 steps" in capsys.readouterr().err


def refused(train, place, capsys, *flags):
    before = {p: p.stat().st_mtime_ns for p in place.rglob("*") if p.is_file()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ahead, "begin", lambda *_: None)  # as `nothing_ahead` does
        assert train(place, *flags) == 2
    assert {p: p.stat().st_mtime_ns for p in place.rglob("*") if p.is_file()} == before
    err = capsys.readouterr().err
    assert err.startswith("train_jax.py: error: ") and err.count("\n") == 1
    return err


@pytest.mark.slow
def test_a_resume_with_another_configuration_is_refused(train, cut, capsys):
    flags = ["--resume", "--lr=0.5", "--margin=0.3", "--nworkers=1"]
    err = refused(train, cut.parent, capsys, *flags)
    assert "--margin was 0.2, is 0.3; --lr was 0.0007, is 0.5; pass" in err


@pytest.mark.slow
def test_a_checkpoint_of_another_configuration_is_refused(train, cut, runs, capsys):
    config = json.loads((cut / "config.json").read_text())
    (cut / "config.json").write_text(json.dumps({**config, "seed": 3}))
    err = refused(train, cut.parent, capsys, "--resume", "--seed=3")
    assert "--seed was 0, is 3" in err


@pytest.mark.slow
def test_a_resume_on_other_images_is_refused(
    train, cut, write_images, tmp_path, capsys
):
    write_images(tmp_path / "others", classes=24, per_class=11)
    flags = ["--resume", f"--dataroot={tmp_path / 'others'}"]
    assert "was trained on other images" in refused(train, cut.parent, capsys, *flags)


@pytest.mark.slow
def test_a_folder_that_another_run_is_writing_is_refused(train, cut, capsys):
    config = Config(name="a", checkpoints_path=str(cut.parent), overwrite=True)
    other = RunFolder.claim(config)
    for flag in ("--resume", "--overwrite"):
        err = refused(train, cut.parent, capsys, flag)
        assert "another run is writing" in err and repr(shown(cut)) in err
    other.release()


@pytest.mark.slow
def test_resume_and_overwrite_exclude_each_other(train, cut, capsys):
    err = refused(train, cut.parent, capsys, "--resume", "--overwrite")
    assert "--resume" in err and "--overwrite" in err


@pytest.mark.slow
def test_a_folder_of_another_program_is_refused(train, cut, capsys):
    (cut / "config.json").write_text('{"model": "theirs"}')
    err = refused(train, cut.parent, capsys, "--resume")
    assert "config.json" in err and "is not the configuration of a run" in err


def test_a_resume_without_a_name_takes_the_latest_run(tmp_path):
    place = {"checkpoints_path": str(tmp_path), "loss": "triplet"}
    assert not RunFolder.claim(Config(**place, resume=True)).resumed
    for name in ("20250101-000000", "20250102-000000-2", "20250103-000000"):
        folder = tmp_path / f"glyphs-triplet-semi-{name}"
        folder.mkdir()
        config = json.dumps({"loss": "triplet"})
        if not name.startswith("20250103"):  # one that did not come to its start
            (folder / "config.json").write_text(config)
    run = RunFolder.claim(Config(**place, resume=True))
    assert run.resumed and run.path.name == "glyphs-triplet-semi-20250102-000000-2"
    run.release()
