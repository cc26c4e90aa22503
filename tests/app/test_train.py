"""A short run from images on disk to a network that retrieves better."""

import json
import shutil
import signal

import numpy as np
import pytest

import jml.app._evaluate as evaluation_command
from jml.app import _inputs as inputs
from jml.app._config import Config
from jml.app._logging import _journal as journal_module
from jml.models import _resnet
from tests.app.runs import SMALL_RUN, check_learning, records_of
from tests.report.page import data_of

FLAGS = [*SMALL_RUN, "--lr=1e-3"]


@pytest.fixture(scope="module")
def run(images, main, tmp_path_factory, short_network):
    """The folder of one finished run of the command."""
    place = tmp_path_factory.mktemp("runs")
    arguments = [*FLAGS, f"--dataroot={images}", f"--checkpoints_path={place}"]
    length = ["--maxiter=60", "--decay_iter_step=45", "--eval_interval=30"]
    assert main([*arguments, *length, "--name=a"]) == 0
    return place / "a"


@pytest.fixture(scope="module")
def records(run):
    return records_of(run)


def test_the_run_folder_is_complete(run):
    names = {"config.json", "metrics.jsonl", "plot.png", "weights.safetensors"}
    names |= {"report", "report.html", "checkpoints", "tensorboard"}
    names |= {"best.safetensors"}
    assert {path.name for path in run.iterdir()} == names
    config = Config(**json.loads((run / "config.json").read_text()))
    assert (config.loss, config.mining, config.maxiter) == ("triplet", "semi", 60)


def test_every_step_and_evaluation_is_logged(records):
    losses = {r["step"]: r for r in records if "loss" in r}
    assert list(losses) == list(range(1, 61))
    assert [losses[n]["lr"] for n in (1, 45)] == [1e-3, 1e-3]
    assert losses[46]["lr"] == pytest.approx(1e-4)
    recalls = [r for r in records if "recall@1" in r]
    assert [r.get("step") for r in recalls] == [None, 0, 30, 60]
    assert recalls[0]["baseline"] == "raw pixels"
    for record in recalls:
        values = [record[f"recall@{k}"] for k in (1, 2, 4, 8)]
        assert values == sorted(values)
        assert 0 <= values[0] and values[-1] <= 1


def test_the_loss_falls_and_recall_on_unseen_classes_rises(records):
    check_learning(records)


@pytest.mark.slow
def test_the_weights_reload_to_the_network_that_was_measured(run, records):
    from jml.data import center_crop_normalize
    from jml.evaluation import recall_at_k
    from jml.models import create, embed

    config = Config(**json.loads((run / "config.json").read_text()))
    test = inputs.load_dataset(config, inputs.list_images(config)).query
    model = create(
        config.arch,
        embedding_dim=config.embedding_dim,
        l2norm=config.l2norm,
        weights=str(run / "weights.safetensors"),
    )
    images = center_crop_normalize(test.images[:], crop=config.image_size)
    embeddings, _ = embed(*model, images, train=False)
    recalls = recall_at_k(embeddings, test.labels, ks=(1, 2))
    assert recalls[1] == pytest.approx(records[-1]["recall@1"], abs=0.02)
    assert recalls[2] == pytest.approx(records[-1]["recall@2"], abs=0.02)


def test_the_best_weights_of_a_run_stay(run, records):
    tested = {
        r["step"]: r["recall@1"] for r in records if r.get("step") and "recall@1" in r
    }
    files = [run / f"{name}.safetensors" for name in ("best", "weights")]
    last_is_best = tested[60] >= tested[30]
    assert (files[0].read_bytes() == files[1].read_bytes()) == last_is_best


@pytest.mark.slow
@pytest.mark.usefixtures("without_reports")
def test_ctrl_c_keeps_what_a_run_has_written(
    images, main, tmp_path, monkeypatch, capsys
):
    step = journal_module.Journal.step

    def interrupted(self, record):
        step(self, record)
        if record["step"] == 3:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(journal_module.Journal, "step", interrupted)
    arguments = [*FLAGS, f"--dataroot={images}", f"--checkpoints_path={tmp_path}"]
    code = main([*arguments, "--maxiter=9", "--eval_interval=2", "--name=a"])
    assert code == 130
    assert (
        "train_jax.py: interrupted after step 4, saved; --resume goes on from there."
        == capsys.readouterr().err.splitlines()[-1]
    )
    lines = (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["step"] == 4
    assert (tmp_path / "a" / "weights.safetensors").exists()
    assert (tmp_path / "a" / "plot.png").exists()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_run_with_one_line(
    images, main, tmp_path, capsys, monkeypatch, short_network
):
    # With two blocks, embeddings end at zero, and only the gradient is not finite.
    block, _ = _resnet.DEPTHS["resnet18"]
    monkeypatch.setitem(_resnet.DEPTHS, "resnet18", (block, (1, 1, 1, 1)))
    arguments = [*FLAGS, f"--dataroot={images}", f"--checkpoints_path={tmp_path}"]
    code = main([*arguments, "--lr=1e38", "--maxiter=9", "--name=a", "--loss=lifted"])
    assert code == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("train_jax.py: error: --lr: the loss is nan and")
    assert "try a rate below 1e+38" in error
    lines = (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()
    *before, last = map(json.loads, lines)
    assert all(np.isfinite(record.get("loss", 0.0)) for record in before)
    assert last["not_finite"]["loss"] == "nan" and len(last["indices"]) == 24
    assert (tmp_path / "a" / "checkpoints" / str(last["step"] - 1)).is_dir()


def evaluated(capsys, *arguments):
    code = evaluation_command.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return code, out, err.splitlines()[-1]


@pytest.mark.slow
def test_a_finished_run_is_evaluated_again(run, records, capsys):
    before = data_of(run / "report.html")
    (run / "report.html").unlink()
    code, out, _ = evaluated(capsys, run)
    assert code == 0
    assert f"recall@1        {100 * records[-1]['recall@1']:6.2f} %" in out
    after = data_of(run / "report.html")
    for (name, value, *_), (again, other, *_) in zip(
        before["metrics"], after["metrics"], strict=True
    ):
        assert name == again and value == pytest.approx(other, abs=0.02)
    assert after["training"] == before["training"]
    assert after["reproduce"] == before["reproduce"]
    command = dict(after["reproduce"])["Train"]
    assert command.startswith("python train_jax.py --dataset folder --dataroot ")


def test_classes_that_look_alike_stay_apart_in_the_report(run):
    names = data_of(run / "report.html")["classes"]["name"]
    assert names[-2:] == ["class2\ufffd (22)", "class2\ufffd (23)"]
    assert len(names) == len(set(names)) == 12


@pytest.mark.slow
@pytest.mark.usefixtures("without_reports")
def test_a_run_whose_images_have_moved_is_evaluated_with_dataroot(
    run, images, tmp_path, capsys
):
    moved = tmp_path / "run"
    shutil.copytree(run, moved)
    config = json.loads((run / "config.json").read_text())
    config["dataroot"] = str(tmp_path / "nowhere")
    (moved / "config.json").write_text(json.dumps(config))
    code, _, error = evaluated(capsys, moved)
    assert code == 2 and "--dataroot" in error and "nowhere" in error
    assert evaluated(capsys, moved, f"--dataroot={images}")[0] == 0


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json"])
def test_a_run_folder_that_lacks_a_file_is_one_line(run, tmp_path, capsys, name):
    lacking = tmp_path / "run"
    shutil.copytree(run, lacking)
    (lacking / name).unlink()
    code, out, error = evaluated(capsys, lacking)
    assert (code, out) == (2, "")
    assert name in error and str(lacking) in error


def test_weights_of_another_run_are_refused(run, tmp_path, capsys):
    other = tmp_path / "run"
    shutil.copytree(run, other)
    config = json.loads((run / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "embedding_dim": 8}))
    code, _, error = evaluated(capsys, other)
    assert code == 2 and "weights.safetensors" in error and "fc.weight" in error
