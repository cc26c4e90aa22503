"""The table of losses beside the functions and the command that it describes."""

import dataclasses
import inspect
import json
import subprocess
import sys
from functools import partial

import jax
import pytest

from jml import losses
from jml._loss_specs import CONVENTION, SPECS, Choice, Hyperparameter
from jml.app._config import Config
from jml.app._config._model_settings import ModelSettings, rules_of
from jml.app._config._settings import Settings
from jml.losses._objective import function_of, make_objective
from tests.losses.contract import LABELS, PROXIES, X

pytestmark = pytest.mark.usefixtures("quick_compilation")

REFERENCES = {"references", "reference_labels", "reference_where", "related"}
# Of these a row says which the loss has.
TAKEN = {"memory", "miner", "reduction", "lengths", "key"}
OF_CLASSES = {"classes", "class_axis_name"}
SHARED = {"where", "block_size", "axis_name"} | REFERENCES | TAKEN | OF_CLASSES
every = pytest.mark.parametrize("name", SPECS)
of_items = pytest.mark.parametrize("name", [n for n in SPECS if not SPECS[n].views])


def test_loss_specs_hold_the_public_losses_and_no_others():
    public = {name for name in losses.__all__ if name.endswith("_loss")}
    assert {f"{name}_loss" for name in SPECS} == public


@of_items
def test_loss_specs_match_the_signatures(name):
    spec = SPECS[name]
    parameters = inspect.signature(function_of(name)).parameters
    first, needed = (
        ["embeddings", "labels"],
        SHARED - TAKEN - OF_CLASSES | set(spec.takes),
    )
    if spec.proxies is not None:
        first.append(spec.proxies.argument)
        needed = (needed - REFERENCES) | OF_CLASSES
    assert_signature(parameters, first, spec, needed)


@pytest.mark.parametrize("name", [n for n in SPECS if SPECS[n].views])
def test_loss_specs_of_views_match_the_signatures(name):
    parameters = inspect.signature(function_of(name)).parameters
    first, needed = ["x", "y"], {"where", "axis_name"}
    if "reference_where" in SPECS[name].takes:
        first = ["queries", "references"]
        needed = SHARED - {"references", "lengths", "key"} - OF_CLASSES
        parameters = {n: p for n, p in parameters.items() if n != "labels"}
    assert_signature(parameters, first, SPECS[name], needed)


def assert_signature(parameters, first, spec, needed):
    """First the arrays; by keyword what the row has, and what losses share."""
    assert list(parameters)[: len(first)] == first
    keywords = {n: p.default for n, p in parameters.items() if n not in first}
    assert all(parameters[n].kind is inspect.Parameter.KEYWORD_ONLY for n in keywords)
    expected = spec.defaults() | {c.name: c.default for c in spec.choices}
    expected |= dict(spec.static)
    assert {n: keywords[n] for n in keywords if n not in SHARED} == expected
    assert needed == SHARED & set(keywords)


@pytest.mark.slow
@every
def test_losses_take_every_choice_of_their_spec(name):
    spec = SPECS[name]
    numbers = spec.defaults()
    for choice in spec.choices:
        for word in choice.choices:
            objective = make_objective(name, **{choice.name: word})
            value = jax.eval_shape(partial(objective, X, LABELS, PROXIES, numbers))
            assert value.shape == ()
        with pytest.raises(ValueError) as caught:
            make_objective(name, **{choice.name: "x"})(X, LABELS, PROXIES, numbers)
        known = ", ".join(map(repr, choice.choices))
        assert f"`{choice.name}` must be one of {known}, got 'x'" in str(caught.value)


@of_items
def test_an_objective_equals_its_loss(name):
    spec = SPECS[name]
    numbers = {h.name: 1.5 * h.default for h in spec.hyperparameters}
    arguments = (X, LABELS) if spec.proxies is None else (X, LABELS, PROXIES)
    for options in conventions_of(name):
        value = make_objective(name, **options)(X, LABELS, PROXIES, numbers)
        assert value == function_of(name)(*arguments, **numbers, **options)


def conventions_of(name):
    words = CONVENTION.choices if CONVENTION in SPECS[name].choices else ()
    return [{"convention": word} for word in words] or [{}]


def test_an_unknown_loss_is_named():
    with pytest.raises(ValueError, match=r"`name` must be one of 'contrastive', .*'x'"):
        make_objective("x")


def test_losses_that_share_a_flag_mean_the_same_by_it():
    for kind in (Hyperparameter, Choice):
        texts = {}
        for spec in SPECS.values():
            for option in (*spec.hyperparameters, *spec.choices):
                if isinstance(option, kind):
                    assert texts.setdefault(option.name, option.text) == option.text
    numbers = {h.name for spec in SPECS.values() for h in spec.hyperparameters}
    words = {choice.name for spec in SPECS.values() for choice in spec.choices}
    assert not numbers & words


def test_no_hyperparameter_takes_the_name_of_another_flag():
    named = {h.name for spec in SPECS.values() for h in spec.hyperparameters}
    others = {field.name for field in dataclasses.fields(ModelSettings)}
    others |= set(vars(Settings)["__annotations__"])
    assert not named & others


@every
def test_the_defaults_of_the_command_lie_within_its_bounds(name):
    config = Config(loss=name)
    for number in SPECS[name].hyperparameters:
        assert rules_of(name, number.name) == number.bounds
        default = getattr(config, number.name)
        assert default == SPECS[name].command_defaults()[number.name]
        assert Config(loss=name, **{number.name: default}) == config


TRIAL = """
import dataclasses, json, sys
from jml._loss_specs import SPECS, Choice, Hyperparameter
steep = Hyperparameter(name="steep", text="steepness of trial", default=2.0, maximum=9)
margin = Hyperparameter(name="margin", text="margin of the loss", default=0.1, below=1)
bent = Choice(name="bent", text="trial on a bend", choices=(False, True), default=False)
SPECS["trial"] = dataclasses.replace(
    SPECS["lifted"],
    hyperparameters=(steep, margin),
    choices=(bent,),
    images_per_class=3,
    l2norm=True,
)
from jml.app._config import parse
from jml.errors import UserError
found = []
for arguments in json.loads(sys.argv[1]):
    try:
        config = parse(arguments)
        values = [config.steep, config.margin, config.images_per_class, config.bent]
        found.append([*values, *config.notes])
    except UserError as error:
        found.append(str(error))
assert "jax" not in sys.modules
print(json.dumps(found))
"""


def test_a_loss_spec_makes_its_flags():
    """The chosen loss's own bounds hold, and its own defaults."""
    trial = ["--loss", "trial", "--batch_size", "96"]
    tried = {
        (): [None, 0.5, 4, None],
        (*trial,): [2.0, 0.1, 3, False],
        (*trial, "--bent"): [2.0, 0.1, 3, True],
        (*trial, "--steep", "3"): [3.0, 0.1, 3, False],
        (*trial, "--steep", "10"): "--steep: 10.0 must be at most 9.",
        (*trial, "--margin", "1"): "--margin: 1.0 must be below 1.",
        ("--margin", "1"): [None, 1.0, 4, None],
        ("--steep", "1"): "--steep: --loss contrastive does not take it; leave it out,"
        " or choose another --loss.",
        ("--steap", "1"): "--steap: unknown argument; did you mean '--steep'?",
    }
    done = subprocess.run(
        [sys.executable, "-c", TRIAL, json.dumps(list(tried))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == list(tried.values())
