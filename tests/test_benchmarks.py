"""The losses' benchmark: what it refuses, and that it runs."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TINY = "--sizes 8 --dims 4 --per-class 4 --losses contrastive --seconds 0.01".split()


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs losses.py with arguments; its exit code, output and errors."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run(*arguments):
        from losses import main

        from jml.app._command import exit_code

        monkeypatch.setattr(sys, "argv", ["losses.py", *arguments])
        code = exit_code("losses.py", main)
        return code, *capsys.readouterr()

    yield run
    sys.modules.pop("losses", None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sizes", "66"], "--sizes: 66 must be a multiple of --per-class 4"),
        (["--sizes", "0"], "--sizes: must be a positive integer, got '0'"),
        (["--limit", "nan"], "--limit: must be a positive number, got 'nan'"),
        (["--limit", "much"], "--limit: must be a positive number, got 'much'"),
        (["--out", ""], "--out: must name a folder, got ''"),
        (["--peers", "none"], "--peers: invalid choice: 'none'"),
        (["--peers", "--out", __file__], f"--out: {__file__} cannot be a folder"),
    ],
)
def test_a_mistake_in_a_benchmark_is_one_line(run, arguments, says):
    code, _, errors = run(*arguments)
    assert code == 2
    assert errors.startswith(f"losses.py: error: {says}")
    assert errors.count("\n") == 1


def test_a_missing_peer_of_a_benchmark_is_named(run, monkeypatch):
    import loss_options

    monkeypatch.setattr(loss_options, "find_spec", {"jax": True}.get)
    code, _, errors = run("--peers", "torch_ref", *TINY)
    assert code == 2
    assert "--peers: torch is not installed; pip install torch, or" in errors


@pytest.mark.slow
def test_results_of_benchmarks_are_kept_and_never_replaced(run, tmp_path):
    arguments = (*TINY, "--peers", "torch_ref", "--out", str(tmp_path / "out"))
    code, _, errors = run(*arguments)
    assert (code, errors) == (0, "")
    text = (tmp_path / "out" / "losses.json").read_text()
    (found,) = json.loads(text)[0]["results"]
    assert found["loss"] == "contrastive"
    assert found["differs"] == {}
    assert found["seconds"].keys() == {"JML", "torch_ref"}
    assert (tmp_path / "out" / "losses.png").stat().st_size > 0

    code, _, errors = run(*arguments)
    assert code == 2
    assert "has the losses.json of another run" in errors
    assert (tmp_path / "out" / "losses.json").read_text() == text


def test_results_of_benchmarks_before_an_interruption_are_kept(
    run, tmp_path, monkeypatch
):
    import losses

    def tables(options):
        task = {"loss": "lifted", "size": 8, "dim": 4, "per_class": 4}
        yield task | {"left_out": {}, "seconds": {"JML": 1e-3}}
        raise KeyboardInterrupt

    monkeypatch.setattr(losses, "tables", tables)
    code, output, errors = run(*TINY, "--peers", "--out", str(tmp_path))
    assert (code, errors) == (130, "losses.py: interrupted.\n")
    assert f"written: {tmp_path}/losses.json" in output
    assert json.loads((tmp_path / "losses.json").read_text())[0]["results"]
