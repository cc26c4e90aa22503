"""A run that an earlier version began: this one resumes, evaluates and exports it."""

import json
import tarfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("quick_compilation")

ARCHIVE = Path(__file__).parents[1] / "fixtures" / "earlier_run.tar.xz"
MEASURED = ("loss", "grad_norm", "active", "positive_distance", "negative_distance")


def records_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def earlier(tmp_path, monkeypatch):
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "before"


@pytest.mark.slow
@pytest.mark.usefixtures("without_reports")
def test_a_run_of_an_earlier_version_goes_on_as_that_version_did(earlier, main):
    config = json.loads((earlier / "config.json").read_text())
    given = {
        name: value
        for name, value in config.items()
        if value is not None and value is not False
    }
    given |= {"maxiter": 9, "resume": True, "cuda": False}
    assert main([f"--{name}={value}" for name, value in given.items()]) == 0
    expected = records_of(Path("continued.jsonl"))
    found = [r for r in records_of(earlier / "metrics.jsonl") if r.get("step", 0) > 6]
    for here, there in zip(found, expected, strict=True):
        assert here["step"] == there["step"] and here.keys() == there.keys()
        for name in (*MEASURED, "recall@1", "recall@8"):
            if name in there:
                assert here[name] == pytest.approx(there[name], rel=1e-4, abs=1e-5)


@pytest.mark.slow
def test_a_run_of_an_earlier_version_is_evaluated_and_exported(earlier, capsys):
    from jml.app._evaluate import main as evaluate
    from jml.app._export import main as export

    assert evaluate([str(earlier)]) == 0
    assert "62.5" in capsys.readouterr().out  # Recall@1, as its metrics.jsonl has it
    assert export([str(earlier), "--to", "safetensors"]) == 0
    assert (earlier / "model.safetensors").is_file()
