"""The configuration and the command line made from it."""

import re
import shlex
from dataclasses import asdict, fields

import pytest

from jml.app._config import Config, parse
from jml.app._config._consistency import differences
from jml.app._config._defaults import (
    ARCHITECTURES,
    BY_DATASET,
    BY_LOSS,
    BY_MINER,
    DATASETS,
    PHOTOGRAPHS,
)
from jml.errors import UserError

# The flags of the original, each with a value its users may pass.
ORIGINAL = {
    "dataroot": "photos",
    "dataset": "folder",
    "batch_size": "32",
    "batch_size_test": "64",
    "eval_interval": "10",
    "embedding_dim": "32",
    "loss": "triplet",
    "mining": "hardest",
    "margin": "0.3",
    "l2norm": "true",
    "lr": "1e-4",
    "maxiter": "20",
    "decay_iter_step": "10",
    "decay_gamma": "0.5",
    "seed": "7",
    "nworkers": "2",
    "checkpoints_path": "elsewhere",
    "cuda": "false",
}


def spellings(flags):
    for name, value in flags.items():
        yield f"--{name}", value
        yield (f"--{name}={value}",)
        yield "--" + name.replace("_", "-"), value
        yield (f"--{name.replace('_', '-')}={value}",)


def test_original_flags_in_every_spelling():
    expected = {
        name: {"true": True, "false": False}.get(text, text)
        for name, text in ORIGINAL.items()
    }
    base = [f"--{name}={value}" for name, value in ORIGINAL.items()]
    for arguments in spellings(ORIGINAL):
        name = arguments[0].lstrip("-").partition("=")[0].replace("-", "_")
        others = [a for a in base if not a.startswith(f"--{name}=")]
        value = getattr(parse([*others, *arguments]), name)
        if isinstance(expected[name], bool | None):
            assert value is expected[name]
        else:
            assert value == type(value)(expected[name])


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["--freeze_bn"], True),
        (["--freeze-bn", "true"], True),
        (["--freeze_bn=True"], True),
        (["--freeze_bn", "false"], False),
        (["--no_freeze_bn"], False),
        (["--freeze_bn", "--no-freeze-bn"], False),
        ([], False),
    ],
)
def test_switches_are_on_by_their_name_or_by_a_value(arguments, value):
    assert parse(arguments).freeze_bn is value


def test_config_fills_in_every_default():
    for dataset, root in (("glyphs", None), ("folder", "photos"), ("SOP", "sop")):
        kind = "glyphs" if dataset == "glyphs" else PHOTOGRAPHS
        for loss in BY_LOSS:
            config = Config(dataset=dataset, dataroot=root, loss=loss)
            unset = {f.name for f in fields(Config) if getattr(config, f.name) is None}
            absent = {name for name, value in BY_LOSS[loss].items() if value is None}
            chosen_later = {"name", "cuda", "cache", "cache_folder", "microbatch"}
            chosen_later |= {"clip_norm", "ema", "freeze", "head_lr", "wandb"}
            chosen_later |= {"coordinator", "processes", "process", "profile", "memory"}
            chosen_later |= {"sample_classes", "miner", *BY_MINER[None]}
            assert unset - {"dataroot"} == absent | chosen_later
            for name, value in BY_DATASET[kind].items():
                assert getattr(config, name) == value


def test_the_learning_rate_goes_by_the_weights():
    assert Config().lr == Config(dataroot="photos", weights="none").lr == 7e-4
    assert Config(dataroot="photos").lr == Config(weights="some.pth").lr == 1e-5


def test_data_sets_have_several_spellings():
    for given, meant in {
        "cub200": "CUB-200-2011",
        "CUB-200-2011": "CUB-200-2011",
        "In-shop": "In-Shop",
        "cars196": "Cars196",
        "TFDS:cars196": "tfds:cars196",
    }.items():
        assert Config(dataset=given, dataroot="photos").dataset == meant


def test_the_samplers_of_the_original_take_any_batch_size():
    assert Config(sampler="cub", batch_size=83).batch_size == 83


def test_values_that_are_passed_win_over_defaults():
    config = Config(dataroot="photos", lr=0.5, loss="triplet", mining="all", margin=2.0)
    assert (config.dataset, config.lr) == ("folder", 0.5)
    assert (config.mining, config.margin) == ("all", 2.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--loss", "tripet"], ["--loss", "'tripet'", "'triplet'", "proxy_nca"]),
        (["--mining", "hard"], ["--mining", "'hard'", "hardest, semi, all"]),
        (["--dataset", "cub20"], ["--dataset", "'cub20'", "glyphs, folder"]),
        (["--dataset", "tfds:"], ["--dataset", "'tfds:'", "tfds:NAME"]),
        (["--dataset", "SOP:x"], ["--dataset", "'SOP:x'", "choose from"]),
        (["--dataset", "In-shop"], ["--dataroot: missing", "In-Shop"]),
        (["--dataset", "csv"], ["--dataroot: missing", "a table"]),
        (["--arch", "resnet5"], ["--arch", "'resnet50'", "resnet101"]),
        (["--convention", "x"], ["--convention", "original, paper"]),
        (["--proxies", "x"], ["--proxies", "trained, fixed"]),
        (["--marjin", "1"], ["--marjin", "--margin"]),
        (["--embedding", "8"], ["--embedding", "--embedding_dim"]),  # no abbreviations
        (["more"], ["more", "--help"]),
        (["--lr"], ["--lr", "expected one argument"]),
        (["--lr", "fast"], ["--lr", "'fast' is not a number"]),
        (["--lr", "0"], ["--lr", "above 0"]),
        (["--lr", "inf"], ["--lr", "inf", "finite"]),
        (["--lr", "nan"], ["--lr", "nan"]),
        (["--margin=-1"], ["--margin", "-1", "above 0"]),
        (["--decay_gamma", "1.5"], ["--decay_gamma", "1.5", "at most 1"]),
        (["--maxiter", "2.5"], ["--maxiter", "'2.5' is not a whole number"]),
        (["--maxiter", "0"], ["--maxiter", "at least 1"]),
        (["--seed", "-1"], ["--seed", "-1", "at least 0"]),
        (["--seed", "99999999999"], ["--seed", "at most"]),
        (["--l2norm", "perhaps"], ["--l2norm", "neither true nor false"]),
        (["--batch_size", "30"], ["--batch_size", "30", "--images_per_class 4"]),
        (["--batch_size", "4"], ["--batch_size", "4", "needs two"]),
        (["--images_per_class", "1"], ["--images_per_class", "at least 2"]),
        (["--dataset", "folder"], ["--dataroot", "missing"]),
        (["--name", "../x"], ["--name", "'../x'", "--checkpoints_path"]),
        (["--name", "/data/x"], ["--name", "'/data/x'"]),
        (["--name", ".."], ["--name", "'..'"]),
        (["--name", ""], ["--name", "''"]),
        (["--sampler", "x"], ["--sampler", "pk, cub, in-shop"]),
        (["--cache", "x"], ["--cache", "device, host, disk, none"]),
        (["--singletons", "x"], ["--singletons", "skip, views"]),
        (
            ["--singletons", "views", "--sampler", "cub"],
            ["--singletons: views fills the K places", "--sampler cub", "--sampler pk"],
        ),
        (["--on_bad_image", "x"], ["--on_bad_image", "error, skip"]),
    ],
)
def test_a_mistake_in_a_config_is_one_line(arguments, words):
    with pytest.raises(UserError) as caught:
        parse(arguments)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_config_refuses_values_of_a_wrong_type():
    with pytest.raises(UserError, match="--batch_size: '8' is not a number"):
        Config(batch_size="8")
    with pytest.raises(UserError, match=r"--maxiter: 2\.5 is not a whole number"):
        Config(maxiter=2.5)
    with pytest.raises(UserError, match="--lr: True is not a number"):
        Config(lr=True)


def test_none_stands_for_a_default_only_where_it_is_the_default():
    for item in fields(Config):
        if item.default is None:
            Config(**{item.name: None})
            continue
        with pytest.raises(UserError, match=f"^--{item.name}: None is no value"):
            Config(**{item.name: None})
    assert parse(["--seed", "3"]) == Config(seed=3)


def test_a_mistyped_value_is_one_message():
    with pytest.raises(UserError, match=r"^--seed: 'x' is not a whole number\.$"):
        parse(["--seed", "x"])


def test_settings_that_an_earlier_version_lacked_have_their_defaults(tmp_path):
    """A run of before these flags goes on as it began, and not otherwise."""
    import json
    from dataclasses import asdict

    from jml.app._run_folder import read_config

    saved = asdict(Config(dataroot="x"))
    for name in ("singletons", "nested"):
        del saved[name]
    (tmp_path / "config.json").write_text(json.dumps(saved))
    assert read_config(tmp_path) == Config(dataroot="x")
    assert differences(Config(dataroot="x"), saved) == []
    changed = Config(dataroot="x", singletons="views", nested=True)
    assert differences(changed, saved) == [
        "--nested was False, is True",
        "--singletons was skip, is views",
    ]


def test_a_flag_without_effect_does_not_stop_a_resume():
    saved = asdict(Config(loss="lifted", alpha=3.0))
    assert differences(Config(loss="lifted"), saved) == []
    assert differences(Config(loss="multi_similarity"), saved)


def test_help_names_every_flag_of_training(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for item in fields(Config):
        assert re.search(rf"--{item.name}\b", text)
    assert "defaults that depend on another flag" in text


def test_choices_of_flags_are_those_of_the_library():
    from jml import models
    from jml.app._build import AUGMENTS
    from jml.app._inputs import READERS, SAMPLERS
    from jml.data._decoding._decode import CACHES
    from jml.training._optimizers import OPTIMIZERS, SCHEDULES

    assert ARCHITECTURES == tuple(models.ARCHITECTURES)
    assert {*READERS, "glyphs", "tfds:NAME"} == set(DATASETS)
    choices = {item.name: item.metadata.get("choices") for item in fields(Config)}
    assert choices["sampler"] == tuple(SAMPLERS)
    assert choices["augment"] == tuple(AUGMENTS)
    assert choices["cache"] == ("device", *CACHES)
    assert choices["optimizer"] == tuple(OPTIMIZERS)
    assert choices["schedule"] == tuple(SCHEDULES)


@pytest.mark.parametrize("loss", BY_LOSS)
@pytest.mark.parametrize("dataset", ["glyphs", "folder", "CUB-200-2011"])
@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_the_command_of_a_configuration_gives_it_again(loss, dataset, weights):
    from jml.app._report import command_of

    root = None if dataset == "glyphs" else "my photos"
    options = {"dataset": dataset, "dataroot": root, "loss": loss, "weights": weights}
    for more in ({}, {"lr": 0.5, "freeze_bn": True, "seed": 3}):
        config = Config(**options, **more)
        program, script, *arguments = shlex.split(command_of(config))
        assert (program, script) == ("python", "train_jax.py")
        assert parse(arguments) == config


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"l2norm": "false"}, "--l2norm: 'false' is neither true nor false"),
        ({"dataroot": 5}, "--dataroot: 5 is not text"),
    ],
)
def test_config_names_the_setting_whose_value_is_of_another_kind(value, words):
    with pytest.raises(UserError, match=words):
        Config(**value)


def test_a_resumed_config_takes_its_starting_weights_and_rate_from_the_run():
    photos = {"dataroot": "photos"}
    began = asdict(Config(**photos, weights="none"))
    for given, lr in (({}, 7e-4), ({"lr": 1e-5}, 1e-5), ({"lr": 0.5}, 0.5)):
        config = Config(**photos, weights="gone.pth", **given)
        assert config.lr == given.get("lr", 1e-5)
        resumed = config.resumed_from(began)
        assert (resumed.weights, resumed.lr) == ("none", lr)
        differs = [] if lr == 7e-4 else [f"--lr was 0.0007, is {lr}"]
        assert differences(resumed, began) == differs
    assert differences(Config(**photos, lr=7e-4), began) == []  # of weights themselves
