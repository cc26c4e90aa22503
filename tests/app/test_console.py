"""``jml`` and ``python -m jml``: one command with the others inside."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import jml
from jml._loss_specs import SPECS
from jml.app._console import COMMANDS, main

ROOT = Path(jml.__file__).parent.parent
*OTHERS, LAST = COMMANDS
CHOOSE = f"choose {', '.join(OTHERS)} or {LAST}, or see --help.\n"


def run(*words, program=("-m", "jml")):
    command = [sys.executable, *program, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_help_of_the_console_lists_the_commands_and_of_each_loads_nothing_heavy():
    code = (
        "import sys; from jml.app._console import COMMANDS, main\n"
        "for words in (['--help'], *([name, '--help'] for name in COMMANDS)):\n"
        "    try:\n        main(words)\n"
        "    except SystemExit as done:\n        assert done.code == 0\n"
        "heavy = {'jax', 'numpy', 'flax', 'optax', 'torch', 'matplotlib', 'PIL'}\n"
        "heavy |= {'pyarrow', 'faiss', 'usearch'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = run(program=("-c", code))
    assert done.returncode == 0, done.stderr
    for name, text in COMMANDS.items():
        assert f"  {name:<12}{text}\n" in done.stdout
    assert "%(prog)s" not in done.stdout and "usage: jml COMMAND" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_under_its_name(name, capsys):
    with pytest.raises(SystemExit) as done:
        main([name, "--help"])
    assert done.value.code == 0
    assert f"usage: jml {name} " in capsys.readouterr().out


def test_the_console_prints_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"jml {jml.__version__}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], f"jml: error: no command; {CHOOSE}"),
        (
            ["trian"],
            "jml: error: unknown command 'trian'; did you mean 'train'? choo",
        ),
        (
            ["tain"],
            "jml: error: unknown command 'tain'; did you mean 'train'? choose",
        ),
        (["--loss", "triplet"], f"jml: error: unknown flag '--loss'; {CHOOSE}"),
        (["--loss=triplet"], f"jml: error: unknown flag '--loss'; {CHOOSE}"),
        (
            ["--versoin"],
            "jml: error: unknown flag '--versoin'; did you mean '--versi",
        ),
        (["--version", "x"], "jml: error: unknown command 'x'; choose"),
        (["train", "--loss=tripet"], "jml train: error: --loss: unknown 'tripet'; did"),
        (["evaluate", "nowhere"], "jml evaluate: error: cannot read 'nowhere/config"),
        (["export", "nowhere"], "jml export: error: the following arguments are requ"),
    ],
)
def test_a_mistake_is_one_line_that_begins_with_the_command(words, line, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line) and err.count("\n") == 1


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (("-m", "jml", "train"), "jml train"),
        (("train_jax.py",), "train_jax.py"),
    ],
)
def test_both_ways_to_train_are_the_same_command(program, name):
    done = run("--loss=tripet", program=program)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"{name}: error: --loss: unknown 'tripet'; did you mean 'triplet'? choose from"
        f" {', '.join(SPECS)}.\n"
    )


@pytest.mark.slow
def test_an_evaluation_prints_how_to_repeat_it(tmp_path, monkeypatch):
    import numpy as np

    from tests.report.page import data_of

    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.eye(4, dtype=np.float32)[np.arange(12) // 3])
    np.save("labels.npy", np.arange(12) // 3)
    words = ["x.npy", "labels.npy", "--clusterings=0", "--resamples=5"]
    assert main(["evaluate", *words]) == 0
    (command,) = (text for _, text in data_of(tmp_path / "report.html")["reproduce"])
    assert command == " ".join(["jml evaluate", *words, "--overwrite"])
    assert os.path.isdir("report")
