"""``--learn``: numbers of the loss that are trained with the network."""

import json
from dataclasses import asdict

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jml import losses
from jml._loss_specs import SPECS
from jml.app import _build as build_module
from jml.app._config import Config, learned, parse
from jml.app._config._consistency import differences
from jml.app._objective import diagnostics_of, initial_learned, objective_of
from jml.app._run_folder import read_config
from jml.errors import UserError
from jml.models import Model
from jml.training import label_groups
from tests.training.one_layer import HYPER, make_params

pytestmark = pytest.mark.usefixtures("quick_compilation")
RNG = np.random.default_rng(0)
X, LABELS = jnp.asarray(RNG.normal(size=(8, 2)), jnp.float32), jnp.arange(8) // 2
MULTI = HYPER._replace(loss={"alpha": 2.0, "beta": 50.0, "base": 0.5})
PROXY = HYPER._replace(loss={"scale": 3.0})


def test_a_learned_number_is_added_to_what_its_flag_says():
    config = Config(loss="multi_similarity", learn="base")
    start = initial_learned(config, num_classes=4)
    assert start == {"base": 0.0}
    objective, moved = objective_of(config), {"base": jnp.float32(0.25)}
    for parameters, base in ((start, 0.5), (moved, 0.75)):
        found = objective(X, LABELS, None, MULTI, learned=parameters)
        assert found == losses.multi_similarity_loss(X, LABELS, base=base)
    measured = diagnostics_of(config)(X, LABELS, None, MULTI, learned=moved)
    assert measured["base"] == 0.75


def test_a_learned_number_that_is_positive_stays_so():
    config = Config(loss="proxy_nca", learn="scale")
    proxies, moved = make_params(proxies=True)["proxies"], {"scale": jnp.float32(-1.0)}
    found = objective_of(config)(X, LABELS, proxies, PROXY, learned=moved)
    expected = losses.proxy_nca_loss(X, LABELS, proxies, scale=3.0 * jnp.exp(-1.0))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_number_for_each_class_has_the_rate_of_the_loss(monkeypatch):
    base = SPECS["multi_similarity"].hyperparameters[2]
    monkeypatch.setattr(build_module, "learned", lambda config: (base,))
    monkeypatch.setattr("jml.app._objective.learned", lambda config: (by_class,))
    by_class = type(base)(base.name, base.text, base.default, learned="class")
    model = Model(None, make_params()["model"], {"mean": jnp.zeros(3)})
    monkeypatch.setattr(build_module, "create", lambda *args, **options: model)
    config = Config(loss="multi_similarity", loss_lr=0.125)
    training = build_module.build(config, num_classes=5)
    assert training.state.params["loss"]["base"].shape == (5,)
    assert training.hyper.rates.proxies_lr == 0.125
    groups = label_groups(training.state.params)
    assert groups["loss"] == {"base": "proxies_lr"}
    assert jax.tree.structure(groups) == jax.tree.structure(training.state.params)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            "--loss=lifted --learn=margin",
            "--learn: --loss lifted has no number to train; leave it out, or choose"
            " another --loss.",
        ),
        (
            "--loss=multi_similarity --learn=bass",
            "--learn: unknown 'bass'; did you mean 'base'? choose from base, none.",
        ),
        (
            "--loss=proxy_nca --loss_lr=1 --proxies_lr=1",
            "--proxies_lr: another spelling of --loss_lr; pass one of them.",
        ),
        ("--proxies_lr=-1", "--proxies_lr: -1.0 must be above 0."),
    ],
)
def test_a_mistake_about_what_is_learned_is_one_line(words, line):
    with pytest.raises(UserError) as error:
        parse(words.split())
    assert str(error.value) == line


def test_the_names_of_learned_numbers_are_a_list():
    for text, names in (("none", []), ("base", ["base"]), (" base , base", ["base"])):
        config = Config(loss="multi_similarity", learn=text)
        assert [h.name for h in learned(config)] == names
    assert learned(Config()) == learned(Config(loss="multi_similarity")) == ()


def test_a_rate_that_nothing_has_is_noted_by_the_name_it_was_passed():
    for name in ("loss_lr", "proxies_lr"):
        for words, of in (
            ("--loss=multi_similarity", "learn none"),
            ("--loss=proxy_nca --proxies=fixed", "proxies fixed"),
        ):
            note = f"--{name} has no effect with --{of}"
            assert parse([*words.split(), f"--{name}=1"]).notes == (note,)
        words = "--loss=proxy_nca --proxies=fixed --learn=scale"
        assert parse([*words.split(), f"--{name}=1"]).notes == ()


@pytest.mark.parametrize("loss", ["contrastive", "multi_similarity", "proxy_nca"])
def test_a_run_from_before_learned_numbers_goes_on_as_it_began(loss, tmp_path):
    saved = asdict(Config(loss=loss))
    del saved["learn"], saved["loss_lr"]
    saved["proxies_lr"] = 0.03 if loss == "proxy_nca" else None
    (tmp_path / "config.json").write_text(json.dumps(saved))
    assert read_config(tmp_path) == Config(loss=loss)
    assert differences(Config(loss=loss), saved) == []
    if loss != "contrastive":
        learns = Config(loss=loss, learn=SPECS[loss].hyperparameters[-1].name)
        assert differences(learns, saved)[0].startswith("--learn was none, is ")
    if loss == "proxy_nca":
        faster = Config(loss=loss, loss_lr=0.5)
        assert differences(faster, saved) == ["--loss_lr was 0.03, is 0.5"]
