"""Flags for what many losses share: the memory, a miner, the reduction, two views."""

from dataclasses import asdict

import jax.numpy as jnp
import numpy as np
import pytest

import jml.miners
from jml import losses
from jml._miner_specs import MINERS
from jml.app._config import Config, parse
from jml.app._config._consistency import differences
from jml.app._objective import Hyper, diagnostics_of, miner_numbers, objective_of
from jml.errors import UserError

X, LABELS = jnp.asarray(np.eye(4, 2), jnp.float32), jnp.arange(4) // 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        *(
            (
                f"--loss={loss} --{flag}",
                f"--{flag.partition('=')[0]}: --loss {loss} does not take it; leave it"
                " out, or choose another --loss.",
            )
            for loss, flag in (
                ("proxy_nca", "memory=100"),
                ("vicreg", "memory=100"),
                ("proxy_nca", "miner=batch_hard"),
                ("barlow_twins", "miner=pair_margin"),
                ("vicreg", "reduction=sum"),
                ("multi_similarity", "convention=paper"),
                ("vicreg", "convention=paper"),
                ("ntxent", "margin=1"),
                ("contrastive", "centers=2"),
                ("proxy_nca", "centers=2"),
                ("triplet", "sample_classes=10"),
                ("supcon", "shard_classes"),
                ("contrastive", "loss_lr=1"),
                ("contrastive", "proxies_lr=1"),
            )
        ),
        (
            "--loss=proxy_nca --margin=1 --mining=all --convention=paper",
            "--margin, --mining, --convention: --loss proxy_nca does not take them;"
            " leave them out, or choose another --loss.",
        ),
        (
            "--loss=clip --denominator=negatives",
            "--denominator: unknown 'negatives'; choose from two_way, four_way.",
        ),
        (
            "--loss=vicreg --images_per_class=4",
            "--images_per_class: --loss vicreg compares two images of each class, got"
            " 4; pass 2.",
        ),
        (
            "--loss=vicreg --sampler=cub",
            "--sampler: --loss vicreg compares two images of each class, and --sampler"
            " cub draws as many as it likes; pass --sampler pk.",
        ),
        (
            "--miner=batch_hart",
            "--miner: unknown 'batch_hart'; did you mean 'batch_hard'? choose from"
            " multi_similarity, batch_hard, easy_hard, pair_margin, triplet_margin,"
            " distance_weighted.",
        ),
        (
            "--reduction=none",
            "--reduction: unknown 'none'; did you mean 'nonzero'? choose from mean,"
            " nonzero, sum.",
        ),
        (
            "--miner=easy_hard --miner_positives=all",
            "--miner_positives: semihard is by the one pair that --miner_negatives"
            " keeps, or the reverse, got all and semihard; pass easy or hard for one.",
        ),
        ("--miner_cutoff=0", "--miner_cutoff: 0.0 must be above 0."),
    ],
)
def test_a_flag_that_the_loss_cannot_use_is_one_line(words, line):
    with pytest.raises(UserError) as error:
        parse(words.split())
    assert str(error.value) == line


@pytest.fixture
def taken(monkeypatch):
    """What contrastive loss gets of the shared arguments."""
    passed = []

    def contrastive_loss(embeddings, labels, *, margin, convention, **shared):
        passed.append(shared)
        return embeddings.sum()

    monkeypatch.setattr(losses, "contrastive_loss", contrastive_loss)
    return passed


@pytest.fixture
def miners(monkeypatch):
    """Functions that return what they get, as the miners of the table."""

    def maker(name):
        return lambda *keys, **options: (name, *keys, options)

    for name in MINERS:
        monkeypatch.setattr(jml.miners, name, maker(name))


HYPER = Hyper(None, {"margin": 0.5})


def test_the_memory_the_miner_and_the_reduction_reach_the_loss(taken, miners):
    config = Config(miner="easy_hard", miner_positives="hard", reduction="sum")
    memory = losses.init_memory(3, 2)
    objective_of(config)(
        X, LABELS, None, HYPER._replace(miner=miner_numbers(config)), memory=memory
    )
    words = {"positives": "hard", "negatives": "semihard"}
    expected = {"miner": ("easy_hard", words), "reduction": "sum", "memory": memory}
    assert taken.pop() == expected
    objective_of(Config())(X, LABELS, None, HYPER)
    assert taken.pop() == {}


def test_numbers_of_a_miner_are_traced_and_a_random_one_has_a_key(taken, miners):
    config = Config(miner="distance_weighted", miner_cutoff=0.25)
    assert miner_numbers(config) == {"cutoff": 0.25, "nonzero_loss_cutoff": 1.4}
    hyper = HYPER._replace(miner={"cutoff": 1.0, "nonzero_loss_cutoff": 2.0})
    objective_of(config)(X, LABELS, None, hyper, key="key")
    diagnostics_of(config)(X, LABELS, None, hyper, key="key")
    assert taken == [{"miner": ("distance_weighted", "key", hyper.miner)}]


def test_flags_of_a_miner_have_its_defaults_or_a_note():
    assert Config(miner="pair_margin").miner_neg_margin == 0.8
    assert Config().miner_neg_margin is None
    words = ["--miner_kind=hard", "--miner_margin=0.1"]
    note = "has no effect"
    for more, of in ([], "without --miner"), (["--miner=batch_hard"], "with --miner"):
        found = parse([*more, *words]).notes
        assert [line.partition(f" {note} ")[0] for line in found] == [
            "--miner_margin",
            "--miner_kind",
        ]
        assert all(f"{note} {of}" in line for line in found)
    assert parse(["--miner=triplet_margin", *words]).notes == ()


def test_a_run_from_before_these_flags_goes_on_without_them():
    saved = asdict(Config())
    new = {"memory", "memory_warmup", "miner", "reduction", "learn"}
    saved = {k: v for k, v in saved.items() if k not in new and "miner_" not in k}
    assert differences(Config(), saved) == []
    assert differences(Config(miner_kind="all"), saved) == []
    assert differences(Config(miner="batch_hard", reduction="sum"), saved) == [
        "--miner was None, is batch_hard",
        "--reduction was mean, is sum",
    ]
    old = asdict(Config(loss="proxy_nca")) | {"convention": "paper"}
    assert differences(Config(loss="proxy_nca"), old) == []


def test_an_objective_refuses_what_its_loss_does_not_take():
    objective = losses.make_objective("proxy_nca")
    with pytest.raises(ValueError, match=r"^proxy_nca: `miner` must be None, because"):
        objective(X, LABELS, X, {"scale": 1.0}, miner=lambda rows: rows)
