"""Mistakes in flags: one wording in all commands, all at once, before JAX is loaded."""

import subprocess
import sys

import numpy as np
import pytest

from jml.app._config import parse
from jml.app._console import main
from jml.app._evaluate_flags import parse as parse_evaluation
from jml.errors import UserError


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("train --marging 1", "--marging: unknown argument; did you mean '--margin'?"),
        ("train --qqqqqq", "--qqqqqq: unknown argument; see --help."),
        ("train foo", "foo: unknown argument; see --help."),
        (
            "evaluate run --dataroo=x",
            "--dataroo: unknown argument; did you mean '--da",
        ),
        ("evaluate run --qqqqqq 1", "--qqqqqq: unknown argument; see --help."),
        ("export run --to torch --bets", "--bets: unknown argument; did you mean '--"),
        ("export run --qqqqqq 1 --to torch", "--qqqqqq: unknown argument; see --help."),
        ("export run other --to torch", "other: unknown argument; see --help."),
        ("export run --too torch", "--too: unknown argument; did you mean '--to'? th"),
        (
            "export run --to torc",
            "--to: unknown 'torc'; did you mean 'torch'? choose",
        ),
        ("evaluate a.npy b.npy --ks x", "--ks: 'x' is not a whole number."),
        ("evaluate a.npy b.npy --map-ks 0", "--map_ks: 0 must be at least 1."),
        (
            "evaluate a.npy b.npy --clusterings 1000001",
            "--clusterings: 1000001 must b",
        ),
        (
            "evaluate a.npy",
            "pass embeddings and labels, or those and a gallery's, got",
        ),
        (
            "evaluate a.npy b.npy --groups c.npy --gallery_groups d.npy",
            "--groups and",
        ),
        ("train --maxiter x", "--maxiter: 'x' is not a whole number."),
        ("evaluate a.npy -- --b.npy --c.npy", "pass embeddings and labels, or those"),
        ("train -- --loss", "--loss: unknown argument; see --help."),
        ("train --flip", "--flip: unknown argument; see --help."),
        ("train --hlep", "--hlep: unknown argument; see --help."),
        ("train --color_jitter", "--color_jitter: unknown argument; see --help."),
        ("train --no_nestd", "--no_nestd: unknown argument; did you mean '--nested'?"),
        (
            "evaluate a.npy b.npy --seed 2147483643",
            "--seed: 2147483643 must be at most 2147483642.",
        ),
        (
            "evaluate a.npy b.npy --clusterings 9 --seed 2147483639",
            "--seed: 2147483639 must be at most 2147483638.",
        ),
        ("train --nested maybe", "--nested: 'maybe' is neither true nor false."),
    ],
)
def test_commands_report_a_mistake_in_a_flag_in_the_same_words(words, line, capsys):
    command = words.split()[0]
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"jml {command}: error: {line}") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "problems"),
    [
        (
            "evaluate a.npy b.npy --ks 0 5 --seed -1 --metrik x --metric cosin",
            [
                "--metrik: unknown argument; did you mean '--metric'?",
                "--ks: 0 must be at least 1.",
                "--seed: -1 must be at least 0.",
                "--metric: unknown 'cosin'; did you mean 'cosine'? choose from"
                " euclidean, cosine.",
            ],
        ),
        (
            "evaluate run --ks 1 --out x",
            [
                "--out: is for files; a run has its own settings.",
                "--ks: is for files; a run has its own settings.",
            ],
        ),
        (
            "evaluate --metrik cosine a.npy b.npy",
            ["--metrik: unknown argument; did you mean '--metric'?"],
        ),
        ("evaluate run --seed x", ["--seed: 'x' is not a whole number."]),
        (
            "evaluate run --seed 0 --metric euclidean",
            [
                "--metric: is for files; a run has its own settings.",
                "--seed: is for files; a run has its own settings.",
            ],
        ),
        (
            "train --qqqqqq --lr x --batch-size 0 --dataset mnist",
            [
                "--qqqqqq: unknown argument; see --help.",
                "--lr: 'x' is not a number.",
                "--batch_size: 0 must be at least 1.",
                "--dataset: unknown 'mnist'; choose from glyphs, folder, csv,"
                " CUB-200-2011, Cars196, SOP, In-Shop, tfds:NAME.",
            ],
        ),
    ],
)
def test_all_mistakes_are_reported_at_once(words, problems, capsys):
    assert main(words.split()) == 2
    command = words.split()[0]
    assert capsys.readouterr().err == f"jml {command}: error: {' '.join(problems)}\n"


def test_what_follows_two_dashes_is_a_file_of_any_name():
    words = ["--map-ks", "3", "--ks", "1", "2", "--", "--my-emb.npy", "--my-lab.npy"]
    options = parse_evaluation(words, "jml evaluate")
    assert options.what == ["--my-emb.npy", "--my-lab.npy"]
    assert (options.map_ks, options.ks, options.seed) == ([3], [1, 2], 0)


def test_the_flags_of_an_evaluation_have_the_limits_of_the_function():
    from jml.evaluation import evaluate

    arrays = np.eye(4, dtype=np.float32), np.arange(4) // 2
    files = ["a.npy", "b.npy"]
    for settings in (
        {"seed": 2**31 - 1 - 2, "clusterings": 2},
        {"seed": 2**31 - 1 - 5},
        {"seed": 2**31 - 1, "clusterings": 0},
    ):
        flags = [f"--{name}={value}" for name, value in settings.items()]
        parse_evaluation([*files, *flags], "it")
        evaluate(*arrays, resamples=0, **settings)
        settings["seed"] += 1
        flags = [f"--{name}={value}" for name, value in settings.items()]
        with pytest.raises(UserError, match=r"--seed: .* must be at most"):
            parse_evaluation([*files, *flags], "it")
        with pytest.raises(ValueError, match="`seed` must be an integer from 0 to"):
            evaluate(*arrays, resamples=0, **settings)


def test_a_mistake_in_evaluate_loads_nothing_heavy():
    program = (
        "import sys; from jml.app._console import main\n"
        "assert main(['evaluate', 'a.npy', 'b.npy', '--ks', '0']) == 2\n"
        "assert not {'jax', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True)
    assert done.returncode == 0, done.stderr


def test_configurations_report_all_values_at_once():
    with pytest.raises(UserError, match=r"--seed: -1 must .*\. --lr: 0\.0 must be"):
        parse(["--seed=-1", "--lr=0"])
