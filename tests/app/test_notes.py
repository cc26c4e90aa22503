"""Flags that do nothing, or less than they seem to, are noted in one line each."""

import pytest

from jml.app._config import parse


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (
            "--warmup=1000 --maxiter=600",
            "--warmup 1000 is more than --maxiter 600: the learning rates rise until"
            " the end, to 60% of what is passed",
        ),
        (
            "--decay_iter_step=600 --maxiter=600",
            "--decay_iter_step 600 has no effect: --maxiter 600 ends the run before the"
            " first decay",
        ),
        (
            "--decay_iter_step=5 --schedule=cosine",
            "--decay_iter_step has no effect with --schedule cosine",
        ),
        (
            "--decay_gamma=0.5 --schedule=constant",
            "--decay_gamma has no effect with --schedule constant",
        ),
        (
            "--momentum=0.9 --optimizer=adam",  # the default, and yet it was passed
            "--momentum has no effect with --optimizer adam",
        ),
        (
            "--decay_gamma=0.1 --schedule=cosine",
            "--decay_gamma has no effect with --schedule cosine",
        ),
        ("--momentum=0.5", "--momentum has no effect with --optimizer adam"),
        (
            "--loss=proxy_nca --proxies=fixed --proxies_lr=1",
            "--proxies_lr has no effect with --proxies fixed",
        ),
        (
            "--cache=host --cache_folder=x",
            "--cache_folder has no effect with --cache host",
        ),
    ],
)
def test_a_combination_that_would_be_silent_is_noted(words, note):
    assert parse(words.split()).notes == (note,)


@pytest.mark.parametrize(
    "words",
    [
        "--warmup=600 --maxiter=600",
        "--maxiter=5",  # no decay, no --eval_interval: nobody asked for them
        "--eval_interval=900 --maxiter=600",  # evaluates at the end
        "--decay_iter_step=599 --maxiter=600",
        "--momentum=0.5 --optimizer=sgd",
        "--loss=proxy_nca --proxies=fixed",
        "--cache_folder=x",
    ],
)
def test_flags_that_work_or_do_no_harm_get_no_note(words):
    assert parse(words.split()).notes == ()


def test_settings_of_other_data_sets_are_noted():
    assert parse([]).notes == ()
    (note,) = parse(["--dataset", "glyphs", "--dataroot", "x"]).notes
    assert note == "--dataroot has no effect with --dataset glyphs"


def test_the_flag_nested_is_for_folders_only():
    assert parse(["--dataroot", "x", "--nested"]).notes == ()
    (note,) = parse(["--dataset=csv", "--dataroot=x.csv", "--nested"]).notes
    assert note == "--nested has no effect with --dataset csv"
