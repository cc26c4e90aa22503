"""First calls compile few programs: each costs a user the time that XLA takes."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MOST = {
    "contrastive, jit": 1,
    "recall_at_k": 2,
    "nearest_neighbours": 1,
    "create": 0,
    "init_state": 1,
}


@pytest.fixture(scope="module")
def programs():
    """The programs of each case, counted by one process that had compiled nothing."""
    code = (
        "import argparse, json, programs\n"
        "options = argparse.Namespace(items=40, batch=8, dim=4)\n"
        f"found = [programs.measure(case, options) for case in {list(MOST)}]\n"
        "print(json.dumps([f['programs'] for f in found]))"
    )
    cold = {
        "JAX_ENABLE_COMPILATION_CACHE": "0",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=BENCHMARKS,
        env=os.environ | cold,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(zip(MOST, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("case", MOST)
def test_a_first_call_compiles_few_programs_and_a_second_none(programs, case):
    first, again = programs[case]
    assert len(first) <= MOST[case], first
    assert again == []


def test_the_benchmark_of_programs_has_a_row_for_each_case(monkeypatch, capsys):
    monkeypatch.syspath_prepend(BENCHMARKS)
    script = importlib.import_module("programs")
    assert {*MOST} <= {*script.cases()}
    found = {"programs": [[("jit(f)", 0.5)], []], "seconds": [1.0, 0.002]}
    monkeypatch.setattr(script, "in_process", lambda case, options: found)
    monkeypatch.setattr(sys, "argv", ["programs.py", "--cases", "create", "--names"])
    script.main()
    rows = capsys.readouterr().out.splitlines()[-2:]
    assert rows[0].split() == "| create | 1 | 0 | 0.50 | 1.00 | 2.0 |".split()
    assert rows[1] == "  jit(f) 0.50"
