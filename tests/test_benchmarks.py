"""The losses' benchmarks: what they refuse, and that they run."""

import importlib
import inspect
import json
import sys
from pathlib import Path

import pytest

from jml._loss_specs import SPECS

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
TINY = "--sizes 8 --dims 4 --per-class 4 --losses contrastive --seconds 0.01".split()


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a script with arguments; its exit code, output and errors."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run(*arguments, script="losses"):
        from jml.app._command import exit_code

        main = importlib.import_module(script).main
        monkeypatch.setattr(sys, "argv", [f"{script}.py", *arguments])
        code = exit_code(f"{script}.py", main)
        return code, *capsys.readouterr()

    yield run
    sys.modules.pop("losses", None)


@pytest.fixture
def script(monkeypatch):
    """Imports a script by its name."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


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


def test_counterparts_name_losses_and_their_options(script):
    """Every loss has the flags and miners with which it is timed."""
    steps, counterparts = script("loss_steps"), script("counterparts").COUNTERPARTS
    used = [steps.counterpart(name) for name in steps.LOSSES]
    for name, peer in counterparts.items():
        assert any(peer is other for other in used), name
        parameters = inspect.signature(steps.function_of(name.split()[0])).parameters
        assert {*peer.options, *(peer.same or ())} <= set(parameters)
        assert peer.goal_at(256) >= 1


def test_a_benchmark_gives_each_loss_the_arrays_that_it_takes(script):
    steps = script("loss_steps")
    needed = {name: steps.needed(name) for name in steps.LOSSES}
    assert needed["contrastive"] == ["x", "labels"]
    assert needed["proxy_nca"] == ["x", "labels", "proxies"]
    assert needed["vicreg"] == ["x", "second"]


def test_misses_of_goals_are_bold(script):
    row = script("peers").row
    result = {"loss": "multi_similarity", "size": 256, "compile_s": 1.0}
    seconds = {"JML": 1e-3, "PML": 2e-3, "PML compiled": 2e-3}
    cells, met = row(result | {"seconds": seconds})
    assert not met
    assert cells[5:9] == ["**2.0**", "3", "2.0", "2"]
    cells, met = row(result | {"seconds": {"JML": 1e-3}})
    assert met
    assert cells[3:9] == [""] * 6


def test_a_peer_that_is_not_installed_or_takes_too_much_is_left_out(script):
    from types import SimpleNamespace

    peers_of = script("peers").peers_of
    options = SimpleNamespace(not_compiled=False)
    both = ["torch", "pytorch-metric-learning"]
    assert peers_of("lifted", 256, options, both) == (["PML", "PML compiled"], "")
    assert "beyond B = 256" in peers_of("lifted", 1024, options, both)[1]
    missing = peers_of("lifted", 256, options, ["torch"])
    assert missing == ([], "pytorch-metric-learning is not installed")
    assert peers_of("barlow_twins", 256, options, ["torch"])[0]


def test_glyphs_trains_every_loss_of_the_table(script):
    glyphs = script("glyphs")
    assert [*glyphs.cases(SPECS, words=False)] == [*SPECS]
    triplets = glyphs.cases(["triplet"], words=True)
    assert triplets["triplet, all"][:2] == ["--loss=triplet", "--mining=all"]
    assert "**20.0**" in glyphs.row("x", [12.0, 10.0, 20.0], 60)
    assert "| 25.0 |" in glyphs.row("x", [12.0, 10.0, 25.0], 60)
    assert "**failed**" in glyphs.row("x", [12.0, None, None], 60)


def test_too_much_memory_of_a_compiled_loss_is_an_error(run, monkeypatch):
    arguments = "--losses contrastive --dim 4 --sizes 8 --memory-sizes 16".split()
    code, output, _ = run(*arguments, script="compiled")
    assert code == 0
    rows = [line.split("|")[1].strip() for line in output.splitlines() if "|" in line]
    assert rows == ["loss", "---", "contrastive"]
    monkeypatch.setitem(importlib.import_module("compiled").MEMORY, 16, 1e-6)
    with pytest.raises(SystemExit, match="Too much memory: contrastive, B = 16"):
        run(*arguments, script="compiled")


@pytest.mark.slow
def test_losses_are_timed_beside_their_counterparts(run):
    arguments = "--losses multi_similarity --sizes 8 16 --dim 4 --seconds 0.01".split()
    code, output, errors = run(*arguments, "--not-compiled", script="peers")
    assert (code, errors) == (0, "")
    rows = [line.split("|")[1:] for line in output.splitlines() if "multi_" in line]
    assert [cells[0].strip() for cells in rows[:2]] == ["8", "16"]
    assert all(float(cells[3]) > 0 for cells in rows[:2])
