"""The library's messages name arguments; what a command prints names flags."""

from dataclasses import fields

import pytest

from jml.app._command import exit_code
from jml.app._config import Config
from jml.app._flags_of_arguments import FLAGS, flags_for, with_flags
from jml.errors import IncompleteError, Interrupted, UserError


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`weights`: no such file", "--weights: no such file"),
        ("`root`: no such folder", "--dataroot: no such folder"),
        ('pass `weights="none"`.', "pass --weights none."),
        ("pass `weights='none'`.", "pass --weights none."),
        ("pass `weights=PATH`.", "pass --weights PATH."),
        ("pass `batch_size=8`.", "pass --batch_size 8."),
        ("pass `nested=True`.", "pass --nested."),
        ("pass `l2norm=False`.", "pass --no_l2norm."),
        ("pass `skip_bad=True`.", "pass --on_bad_image skip."),
        ("pass `skip_bad`.", "pass --on_bad_image."),
        ("pass `freeze_proxies=True`.", "pass --proxies fixed."),
        ("`root` and `cache`: both", "--dataroot and --cache: both"),
        ("`root`", "--dataroot"),
    ],
)
def test_an_argument_becomes_its_flag(message, expected):
    assert with_flags(message) == expected


@pytest.mark.parametrize(
    "message",
    [
        "evaluate: `embeddings` must be floating [n, d]",
        "call `make_step(loss)` first",
        "an odd ` in a name, and `another",
        "`root",
        "``root``",
        "root, --dataroot and 'root'",
        "no such file: 'mis`weights`.npy', nor \"it's `root`\"",
        r"'an \' escape and `root`' is quoted",
        "",
    ],
)
def test_words_that_are_no_argument_of_a_command_stay(message):
    assert with_flags(message) == message


def test_names_that_the_user_gave_stay_in_messages():
    named = with_flags("`root`: no `root`; pass `nested=True`", names=["`root`: no"])
    assert named == "`root`: no --dataroot; pass --nested"
    quoted = with_flags("the run's `cache` is 'a`root`b', the images' `root`")
    assert quoted == "the run's --cache is 'a`root`b', the images' --dataroot"


def test_every_flag_for_an_argument_is_one_of_its_command():
    names = {f"--{item.name}" for item in fields(Config)}
    for flag in FLAGS.values():
        assert flag.split()[0] in names
    assert names == {flag.split()[0] for flag in FLAGS.values()}


def test_a_command_may_have_its_own_flags_for_arguments():
    flags = {"embeddings": "'x.npy'", "ks": "--ks"}
    message = with_flags("`embeddings` of `ks`, `seed`", flags)
    assert message == "'x.npy' of --ks, `seed`"


def test_a_call_may_have_its_own_flags_for_arguments():
    with pytest.raises(UserError, match=r"^--dataset: unknown; pass --dataroot$") as it:
        with flags_for(name="--dataset", root="--dataroot"):
            raise UserError("`name`: unknown; pass `root`") from OSError("gone")
    assert isinstance(it.value.__cause__, OSError)
    with pytest.raises(ValueError, match=r"^`name`$"), flags_for(name="--dataset"):
        raise ValueError("`name`")  # a fault of the program keeps its words


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("`root`: no\nfolder."), 2, "it: error: --dataroot: no folder."),
        (
            IncompleteError({"report": "`root`: gone"}, "trained"),
            1,
            "it: error: trained; report: --dataroot: gone",
        ),
        (
            Interrupted(15, "at step 3; pass `resume=True`"),
            143,
            "it: interrupted at step 3; pass --resume.",
        ),
    ],
)
def test_a_command_prints_flags_in_place_of_arguments(error, code, line, capsys):
    def run():
        raise error

    assert exit_code("it", run) == code
    assert capsys.readouterr().err == line + "\n"
